"""Why a network answers so, against hooks on a plain forward pass."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from indexer.errors import InvalidRequest, NotFound
from indexer.explain.asked import Asked, Said
from indexer.explain.pushes import blocks, explain
from indexer.explain.rest import rest_behind
from indexer.images.preprocessing import Preprocessing
from indexer.network.forward import Network
from indexer.network.models import LoadedModel
from indexer.receptive_field.layout import Layout
from tests.explained_models import NETS, SIZE, Tokens, made
from tests.marks import seeds

STARTS = {
    "Net": ("a", "b"), "Residual": ("a", "a"), "InPlace": ("a", "a"), "Concatenating": (None, None),
    "Functional": ("a", "b"), "Counting": ("a", "b"), "Branching": (None, None), "Keeping": ("a", "a"),
}  # fmt: skip
"""The layer from which the rest behind a, and that behind b, can start."""
CASES = [(net, layer) for net in NETS for layer in ("a", "b")]


def network_of(module: nn.Module, layers: tuple[str, ...] = ("a", "b", "head"), **options: object) -> Network:
    preprocessing = Preprocessing(SIZE, None, mean=(0.5,) * 3, std=(0.25,) * 3)
    loaded = LoadedModel("own", "none", module.eval(), preprocessing, "", [])
    return Network(loaded, layers, torch.device("cpu"), **options)


def pixels_of(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)


def plain(module: nn.Module, pixels: np.ndarray, layer: str, change: Callable | None = None) -> torch.Tensor:
    """The outputs (O,) of a plain pass, a hook changing what a layer returns."""
    batch = ((torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255) - 0.5) / 0.25
    hook = lambda part, given, returned: None if change is None else change(returned)  # noqa: E731
    handle = module.get_submodule(layer).register_forward_hook(hook)
    try:
        return module(batch)[0]
    finally:
        handle.remove()


def without(module: nn.Module, pixels: np.ndarray, layer: str, neuron: int) -> np.ndarray:
    def silence(returned: torch.Tensor) -> torch.Tensor:
        returned = returned.clone()
        returned[:, neuron] = 0
        return returned

    with torch.no_grad():
        return plain(module, pixels, layer, silence).numpy()


def shares(module: nn.Module, pixels: np.ndarray, layer: str, target: Callable) -> np.ndarray:
    """Gradient times activation (C, H, W) by a hook."""
    kept = []

    def hold(returned: torch.Tensor) -> torch.Tensor:
        kept.append(returned.detach().clone().requires_grad_())
        return kept[0].clone()  # what follows may work in place

    target(plain(module, pixels, layer, hold)).backward()
    return (kept[0].grad * kept[0]).detach().numpy()[0]


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize(("net", "layer"), CASES)
def test_effects_and_contributions_are_those_of_hooks(net: str, layer: str, seed: int) -> None:
    module, _ = made(net, seed)
    network, pixels = network_of(module), pixels_of(seed)
    rest = rest_behind(network, layer, "head")
    assert rest.start == STARTS[net]["ab".index(layer)]
    said = explain(network, Asked(layer, "head", 0, 2, limit=6), pixels)
    before = plain(module, pixels, layer).detach().numpy()
    assert said.value == pytest.approx(before[0] - before[2], abs=1e-5)
    assert said.answer == before.argmax()
    expected = shares(module, pixels, layer, lambda outputs: outputs[0] - outputs[2])
    total = expected.sum((1, 2))
    assert [each.neuron for each in said.up] == [n for n in np.argsort(-total) if total[n] > 0]
    assert [each.neuron for each in said.down] == [n for n in np.argsort(total) if total[n] < 0]
    assert said.total == pytest.approx(total.sum(), abs=1e-5)
    for each in (*said.up, *said.down):
        outputs = without(module, pixels, layer, each.neuron)
        assert each.without == pytest.approx(outputs[0] - outputs[2], abs=1e-5)
        assert each.effect == pytest.approx(each.without - said.value, abs=1e-6)
        assert each.answer_without == outputs.argmax()
        assert each.contribution == pytest.approx(total[each.neuron], abs=1e-5)
        heat = np.array(each.heat)
        np.testing.assert_allclose(heat, expected[each.neuron], rtol=1e-3, atol=1e-6)
        signed = expected[each.neuron] * np.sign(total[each.neuron])
        assert signed[each.y, each.x] == pytest.approx(signed.max(), abs=1e-7)


def test_the_answer_is_explained_unless_another_output_is_named() -> None:
    module, _ = made("Residual", 5)
    network, pixels = network_of(module), pixels_of(5)
    answer = int(plain(module, pixels, "a").argmax())
    asked = explain(network, Asked("b", "head"), pixels)
    assert asked.for_ == asked.answer == answer
    assert asked == explain(network, Asked("b", "head", answer), pixels)
    assert Said.from_dict(asked.as_dict()) == asked


@pytest.mark.parametrize("net", ["Net", "Concatenating"])
def test_a_network_of_one_output_is_explained(net: str) -> None:
    module, _ = made(net, 1, outputs=1)
    pixels = pixels_of(1)
    said = explain(network_of(module), Asked("b", "head", limit=2), pixels)
    assert said.for_ == said.answer == 0
    for each in (*said.up, *said.down):
        assert each.without == pytest.approx(float(without(module, pixels, "b", each.neuron)[0]), abs=1e-5)


def test_a_graph_that_gives_something_else_is_not_used() -> None:
    """The traced graph has the number of the first call for ever; the network counts on."""

    class Hidden(NETS["Net"]):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            extra = 0 if isinstance(x, torch.fx.Proxy) else 1
            return self.head(self.b(self.a(x).relu()).relu().mean((2, 3)) + extra)

    torch.manual_seed(0)
    module, pixels = Hidden(), pixels_of(0)
    network = network_of(module)
    rest = rest_behind(network, "b", "head")
    assert (rest.start, rest.reason) == (None, "the traced graph gives other outputs than the network")
    for each in explain(network, Asked("b", "head", 1), pixels).up:
        assert each.without == pytest.approx(float(without(module, pixels, "b", each.neuron)[1]), abs=1e-5)


def test_a_network_that_takes_one_image_at_a_time_is_explained() -> None:
    class Single(NETS["Concatenating"]):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if len(x) > 1:
                raise ValueError("one at a time")
            return super().forward(x)

    torch.manual_seed(0)
    module, pixels = Single(), pixels_of(0)
    network = network_of(module)
    assert rest_behind(network, "a", "head").rows == 1
    for each in explain(network, Asked("a", "head", 1), pixels).down:
        assert each.without == pytest.approx(float(without(module, pixels, "a", each.neuron)[1]), abs=1e-5)


def test_it_is_explained_in_float32_whatever_the_precision() -> None:
    module, _ = made("Net", 2)
    pixels = pixels_of(2)
    said = explain(network_of(module, precision="bfloat16"), Asked("b", "head", 1), pixels)
    assert said.value == pytest.approx(float(plain(module, pixels, "b")[1]), abs=1e-5)


def test_a_gradient_that_does_not_come_back_is_said() -> None:
    class Cut(NETS["Net"]):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.b(self.a(x).detach()).mean((2, 3)))

    with pytest.raises(InvalidRequest, match="no gradient comes back from the output head to layer a"):
        explain(network_of(Cut()), Asked("a", "head"), pixels_of(0))


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"layer": "b", "output": "head", "for_": 3}, NotFound, "layer head has the outputs 0 to 2, not 3"),
        ({"layer": "b", "output": "head", "against": -1}, NotFound, "0 to 2, not -1"),
        ({"layer": "c", "output": "head"}, InvalidRequest, "layer must be one of a, b, head, not 'c'"),
        ({"layer": "b", "output": "head", "limit": 0}, InvalidRequest, "limit must be at least 1, not 0"),
        ({"layer": "b", "output": "head", "for_": 1, "against": 1}, InvalidRequest, "are both the output 1"),
    ],
)
def test_what_cannot_be_asked_is_named(asked: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explain(network_of(made()[0]), Asked(**asked), pixels_of(0))


@pytest.mark.parametrize("side", [1, 2, 5])
def test_blocks_add_up_to_the_map(side: int) -> None:
    map_ = np.random.default_rng(side).normal(size=(7, 11))
    summed = blocks(map_, side)
    assert summed.shape == (-(-7 // side), -(-11 // side))
    assert summed[0, 0] == pytest.approx(map_[:side, :side].sum())
    assert summed.sum() == pytest.approx(map_.sum())


@pytest.mark.parametrize("prefix", [0, 1])
def test_tokens_are_silenced_where_they_are_maps(prefix: int) -> None:
    """What a layout leaves out of the maps stays, so that the maps alone are not enough to go on from."""
    torch.manual_seed(prefix)
    module, pixels = Tokens(prefix), pixels_of(prefix)
    layout = Layout.parse(f"NTC:6x9+{prefix}" if prefix else "NTC:6x9")
    network = network_of(module, layouts={"b": layout})
    assert rest_behind(network, "b", "head").start == ("a" if prefix else "b")
    said = explain(network, Asked("b", "head", 1, limit=6), pixels)
    assert said.up or said.down
    for each in (*said.up, *said.down):

        def silence(returned: torch.Tensor, neuron: int = each.neuron) -> torch.Tensor:
            returned = returned.clone()
            returned[:, prefix:, neuron] = 0
            return returned

        with torch.no_grad():
            assert each.without == pytest.approx(float(plain(module, pixels, "b", silence)[1]), abs=1e-5)
