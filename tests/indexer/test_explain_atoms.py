"""Why and importance on atoms of dictionaries, against hooks that take an atom's part off a layer's output."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from indexer.explain.asked import Asked
from indexer.explain.atoms import rest_of_layer
from indexer.explain.pushes import explain, silencing
from indexer.network.encoding.encoders import Encoder, KMeansEncoder, NMFEncoder, SparseAutoencoder
from indexer.network.forward import Network
from tests.explained_models import made
from tests.indexer.test_explain_why import network_of, pixels_of, plain

ATOMS = 7


def encoder_of(method: str, seed: int, channels: int) -> Encoder:
    rng = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=rng)  # noqa: E731
    if method == "kmeans":
        return KMeansEncoder(normal(ATOMS, channels))
    if method == "nmf":
        return NMFEncoder(normal(ATOMS, channels).abs())
    weights = normal(channels, ATOMS), normal(ATOMS), normal(ATOMS, channels), normal(channels)
    return SparseAutoencoder(*weights, k=3)


def encoded(module: nn.Module, encoder: Encoder) -> Network:
    return network_of(module, ("a", "b", "head", "b~own"), encoders={"b~own": encoder})


def with_codes(module: nn.Module, pixels: np.ndarray, encoder: Encoder, change: Callable) -> torch.Tensor:
    """The outputs (O,) of a plain pass in which ``change`` makes other codes, and each atom's part follows."""

    def hook(returned: torch.Tensor) -> torch.Tensor:
        maps = returned.detach()
        codes = encoder(maps)
        moved = change(codes) - codes
        return maps + sum(moved[:, k, None] * encoder.atoms[k].float()[None, :, None, None] for k in range(ATOMS))

    return plain(module, pixels, "b", hook)


def shares_of(module: nn.Module, pixels: np.ndarray, encoder: Encoder, target: Callable) -> np.ndarray:
    """Gradient times code (K, H, W), with what no atom gives back held."""
    kept = []

    def hold(codes: torch.Tensor) -> torch.Tensor:
        kept.append(codes.detach().clone().requires_grad_())
        return kept[0]

    target(with_codes(module, pixels, encoder, hold)).backward()
    return (kept[0].grad * kept[0]).detach().numpy()[0]


def without(atom: int) -> Callable:
    def change(codes: torch.Tensor) -> torch.Tensor:
        codes = codes.clone()
        codes[:, atom] = 0
        return codes

    return change


@pytest.mark.parametrize("method", ["kmeans", "nmf", "sae"])
@pytest.mark.parametrize("net", ["Net", "Residual", "Concatenating", "InPlace"])
def test_effects_and_contributions_of_atoms_are_those_of_hooks(net: str, method: str) -> None:
    seed = 3
    module, _ = made(net, seed)
    pixels = pixels_of(seed)
    channels = network_of(module).shapes["b"][0]
    encoder = encoder_of(method, seed, channels)
    network = encoded(module, encoder)
    said = explain(network, Asked("b~own", "head", 0, 2, limit=ATOMS), pixels)
    expected = shares_of(module, pixels, encoder, lambda outputs: outputs[0] - outputs[2])
    total = expected.sum((1, 2))
    assert said.neurons == ATOMS
    assert {each.neuron for each in said.up} == set(np.flatnonzero(total > 0).tolist())
    assert {each.neuron for each in said.down} == set(np.flatnonzero(total < 0).tolist())
    assert said.total == pytest.approx(total.sum(), abs=1e-4)
    for each in (*said.up, *said.down):
        with torch.no_grad():
            outputs = with_codes(module, pixels, encoder, without(each.neuron)).numpy()
        assert each.without == pytest.approx(outputs[0] - outputs[2], abs=1e-4)
        assert each.effect == pytest.approx(each.without - said.value, abs=1e-5)
        assert each.contribution == pytest.approx(total[each.neuron], abs=1e-4)
        np.testing.assert_allclose(np.array(each.heat), expected[each.neuron], rtol=1e-2, atol=1e-4)


def test_silencing_each_atom_and_those_at_rest() -> None:
    module, _ = made("Net", 1)
    pixels = pixels_of(1)
    encoder = encoder_of("sae", 1, network_of(module).shapes["b"][0])
    network = encoded(module, encoder)
    rest = rest_of_layer(network, "b~own", "head")
    source = rest.source(pixels[None])
    before, after = silencing(rest, source, list(range(ATOMS)))
    codes = encoder(torch.from_numpy(source))[0].numpy()
    active = rest.active(source, list(range(ATOMS)))
    assert active == np.flatnonzero(codes.any(axis=(1, 2))).tolist()
    for atom in range(ATOMS):
        with torch.no_grad():
            outputs = with_codes(module, pixels, encoder, without(atom)).numpy()
        np.testing.assert_allclose(after[atom], outputs, atol=1e-4)
        if atom not in active:
            np.testing.assert_array_equal(after[atom], before)
