"""Layers that are one call of a module that runs several times, against plain hooks that count."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

import indexer
from indexer.errors import InvalidRequest
from indexer.explain.asked import Asked
from indexer.explain.pushes import explain
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.build import build
from indexer.jobs.upkeep.verify import verify
from indexer.network.differentiable import LayerModule
from indexer.network.forward import Network
from indexer.network.models import LoadedModel
from indexer.receptive_field.parts import Place, place_of
from indexer.receptive_field.trace import trace_layers
from tests.conftest import build_request, write_photos

SIZE = (20, 28)


class Thrice(nn.Module):
    """One ReLU at three places, on maps of different shapes, and a module that returns two tensors, called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 5, (3, 2), stride=2)
        self.act, self.pair, self.head = nn.ReLU(inplace=True), Pair(), nn.Linear(6, 3)
        self.third = nn.Conv2d(5, 6, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(image))
        low, high = self.pair(x)
        x = self.act(self.second(low + high) - 0.1)
        low, high = self.pair(x)
        x = self.act(self.third(low - high))
        return self.head(x.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x * 0.5, torch.roll(x, 1, 2)


LAYERS = ("act:call0", "act:call1", "act:call2", "pair:call0:1", "pair:call1:0", "head")


def network_of(module: nn.Module, layers: tuple[str, ...], size: tuple[int, int] = SIZE) -> Network:
    preprocessing = Preprocessing(size, None, mean=(0.5,) * 3, std=(0.25,) * 3)
    return Network(LoadedModel("own", "none", module.eval(), preprocessing, "", []), layers, torch.device("cpu"))


def thrice() -> nn.Module:
    torch.manual_seed(4)
    return Thrice().eval()


def pixels_of(seed: int, images: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (images, *size, 3), np.uint8)


def batch_of(pixels: np.ndarray) -> torch.Tensor:
    return ((torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255) - 0.5) / 0.25


def returned(module: nn.Module, name: str, batch: torch.Tensor) -> list[Any]:
    """What a module returns, call by call, as it was then."""
    kept: list[Any] = []

    def hook(part: nn.Module, given: object, output: Any) -> None:
        kept.append(output.clone() if isinstance(output, torch.Tensor) else tuple(each.clone() for each in output))

    handle = module.get_submodule(name).register_forward_hook(hook)
    with torch.no_grad():
        module(batch)
    handle.remove()
    return kept


def test_maps_are_those_of_the_call() -> None:
    module, pixels = thrice(), pixels_of(1, 3)
    network = network_of(module, LAYERS)
    found = network.run(pixels, lambda layer, maps: maps.clone().numpy())
    act, pair = (returned(module, name, batch_of(pixels)) for name in ("act", "pair"))
    expected = [*act, pair[0][1], pair[1][0]]
    for layer, maps in zip(LAYERS, expected, strict=False):
        np.testing.assert_allclose(found[layer], maps.numpy(), atol=1e-5, err_msg=layer)
    assert network.own_layers == ["act:call0", "act:call1", "act:call2", "head"]
    one = LayerModule(network, "act:call1")(batch_of(pixels))
    np.testing.assert_allclose(one.detach().numpy(), act[1].numpy(), atol=1e-5)


def test_fields_are_those_of_the_call() -> None:
    module = thrice()
    traces = trace_layers(module, ["act:call0", "act:call1"], SIZE)
    assert traces["act:call0"].field.kind == traces["act:call1"].field.kind == "exact"
    batch = torch.randn(1, 3, *SIZE, requires_grad=True)
    kept: list[torch.Tensor] = []
    module.act = nn.ReLU()
    module.act.register_forward_hook(lambda part, given, output: kept.append(output))
    module(batch)
    for call in (0, 1):
        for y, x in ((0, 0), (3, 5)):
            gradient = torch.autograd.grad(kept[call][0, :, y, x].sum(), batch, retain_graph=True)[0][0].abs().sum(0)
            rows, columns = (np.flatnonzero(gradient.sum(axis).numpy()) for axis in (1, 0))
            box = traces[f"act:call{call}"].field.box(y, x)
            if len(rows):  # inside of the box, as a ReLU may be 0 there
                assert box.top <= rows[0] <= rows[-1] < box.bottom
                assert box.left <= columns[0] <= columns[-1] < box.right


@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_neuron_of_a_call_is_silenced_there_alone(call: int) -> None:
    module, pixels = thrice(), pixels_of(call, 1)
    said = explain(network_of(module, LAYERS), Asked(f"act:call{call}", "head", 0, limit=3), pixels[0])
    for each in (*said.up, *said.down):
        with torch.no_grad():
            outputs = _silenced(module, batch_of(pixels), call, each.neuron)
        assert each.without == pytest.approx(float(outputs[0, 0]), abs=1e-5)


def _silenced(module: nn.Module, batch: torch.Tensor, call: int, neuron: int) -> torch.Tensor:
    calls: list[int] = []

    def hook(part: nn.Module, given: object, output: torch.Tensor) -> torch.Tensor:
        calls.append(0)
        output = output.clone()
        if len(calls) == call + 1:
            output[:, neuron] = 0
        return output

    handle = module.act.register_forward_hook(hook)
    try:
        return module(batch)
    finally:
        handle.remove()


def test_blocks_of_torchvision_have_calls() -> None:
    torch.manual_seed(0)
    module, size = models.resnet18(weights=None).eval(), (40, 56)
    pixels = pixels_of(3, 2, size)
    layers = ("layer1.0.relu:call0", "layer1.0.relu:call1")
    network = network_of(module, layers, size)
    found = network.run(pixels, lambda layer, maps: maps.clone().numpy())
    for layer, maps in zip(layers, returned(module, "layer1.0.relu", batch_of(pixels)), strict=True):
        np.testing.assert_allclose(found[layer], maps.numpy(), atol=1e-4)
        assert network.traces[layer].field.kind == "exact"


def test_names_are_read() -> None:
    modules = {"act", "a:call1", "lstm"}
    assert place_of("act:call2", modules) == Place("act", "", 2)
    assert place_of("lstm:call1:0", modules) == Place("lstm", "0", 1)
    assert place_of("a:call1", modules) == Place("a:call1", "")
    assert place_of("act:caller", modules) == Place("act", "caller")
    for name in ("act:call2", "lstm:call1:0", "lstm:1:0", "act"):
        assert place_of(name, modules).layer == name


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("<act>", "'<act>' runs 3 times in a forward pass; name one of its calls, '<act>:call0' to '<act>:call2', or "),
        ("<pair>:1", "name one of its calls, '<pair>:call0:1' to '<pair>:call1:1'"),
        ("<act>:call3", "layer '<act>:call3': '<act>' runs 3 times in a forward pass, call0 to call2"),
        ("<first>:call0", "layer '<first>:call0': '<first>' runs once in a forward pass; name it '<first>'"),
        ("<pair>:call1:2", "returns no part '2'; it returns <pair>:call1:0 .*, <pair>:call1:1 "),
    ],
)
@pytest.mark.parametrize("is_traced", [True, False])
def test_calls_that_there_are_not_are_named(layer: str, message: str, is_traced: bool) -> None:
    layer, message = (re.sub("<(.*?)>", r"\1" if is_traced else r"inner.\1", text) for text in (layer, message))
    with pytest.raises(InvalidRequest, match=message):
        network_of(thrice() if is_traced else Untraced(thrice()), (layer,))


class Untraced(nn.Module):
    """Runs another module in a way that torch.fx cannot follow."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        if float(image.sum()) > 1e30:
            return image
        result: torch.Tensor = self.inner(image)
        return result


def test_a_build_keeps_each_call(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=2, count=3)
    settings = {"model": "tests.own_models:twice", "weights": "none", "preprocessing": {}}
    build(tmp_path / "index", build_request(photos, layers=("act:call0", "act:call1"), **settings))
    with indexer.open(tmp_path / "index") as index:
        module, image = index.network().model.module, index.image(0)
        pixels = index.manifest.configuration.preprocessing.pixels(index.picture(image))
        batch = index.manifest.configuration.preprocessing.normalise(
            torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]
        )
        for call, maps in enumerate(returned(module, "act", batch)):
            kept = index.activation_maps(0, f"act:call{call}")
            np.testing.assert_allclose(kept, maps[0].numpy(), rtol=1e-3, atol=1e-4)
    assert verify(tmp_path / "index") == []
