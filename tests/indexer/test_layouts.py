"""Which dimension of an output is which: followed, measured, told or refused; maps against a plain forward pass."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import indexer
from indexer.cli import main
from indexer.errors import BadActivations, InvalidRequest
from indexer.images.preprocessing import Preprocessing
from indexer.index.configuration import Configuration
from indexer.index.manifest import read_manifest
from indexer.network.forward import Network
from indexer.network.models import LoadedModel, load_model
from indexer.network.restore import configuration_of, network_of
from indexer.receptive_field.layout import Layout, parse_layouts
from tests.families import FAMILIES, check, outputs_of

SIZE = (32, 48)
PREPROCESSING = Preprocessing(SIZE, None, mean=(0.5,) * 3, std=(0.25,) * 3)


class ResponseNorm(nn.Module):
    """ConvNeXt V2's, on (N, y, x, C)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size = x.norm(p=2, dim=(1, 2), keepdim=True)
        return x + x * (size / (size.mean(-1, keepdim=True) + 1e-6))


class Unfollowed(nn.Module):
    """Asks for values, so that no graph can be made."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2 if float(x.detach().mean()) > 1e9 else x


class Order(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.order)


class Tokens(nn.Module):
    """Patches as tokens after two of no place, with or without attention."""

    def __init__(self, attends: bool) -> None:
        super().__init__()
        self.patches, self.extra = nn.Conv2d(3, 6, 8, stride=8), nn.Parameter(torch.randn(1, 2, 6))
        self.tokens, self.attention = nn.Identity(), nn.MultiheadAttention(6, 2, batch_first=True)
        self.attends, self.out = attends, nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = self.tokens(torch.cat([self.extra.expand(len(x), -1, -1), x], 1))
        return self.out(x + self.attention(x, x, x, need_weights=False)[0] if self.attends else x)


def network(model: nn.Module, *layers: str, **layouts: str) -> Network:
    told = {layer.replace("__", "."): Layout.parse(layout) for layer, layout in layouts.items()}
    loaded = LoadedModel("own", "none", model.eval().requires_grad_(False), PREPROCESSING, "0" * 64, [])
    return Network(loaded, layers, torch.device("cpu"), layouts=told)


def picture(seed: int) -> tuple[Image.Image, torch.Tensor]:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), np.uint8)
    return Image.fromarray(pixels), (torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25


def assert_maps(made: Network, model: nn.Module, layer: str, order: tuple[int, ...]) -> None:
    """What the network keeps is the plain output in the order N, C, y, x."""
    for seed in range(3):
        shown, image = picture(seed)
        plain = outputs_of(model, image, [layer])[layer][0].permute(order).numpy()
        np.testing.assert_allclose(made.maps([shown])[layer], plain, rtol=1e-5, atol=1e-5)


LAST: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "a norm over places": (ResponseNorm, (0, 3, 1, 2)),
    "values are asked for": (Unfollowed, (0, 3, 1, 2)),
    "rows and columns change places": (lambda: nn.Sequential(Unfollowed(), Order(0, 2, 1, 3)), (0, 3, 2, 1)),
    "images come last": (lambda: nn.Sequential(Unfollowed(), Order(3, 1, 2, 0)), (3, 0, 1, 2)),
    "back to channels first": (lambda: nn.Sequential(Unfollowed(), Order(0, 3, 1, 2)), (0, 1, 2, 3)),
    "sorted channels": (lambda: Sorted(), (0, 3, 1, 2)),
}


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sort(-1).values


@pytest.mark.parametrize("name", LAST)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_layout_that_no_graph_shows_is_measured(name: str, seed: int) -> None:
    torch.manual_seed(seed)
    make, order = LAST[name]
    model = nn.Sequential(nn.Conv2d(3, 12, 4, stride=4), Order(0, 2, 3, 1), make()).eval()
    assert_maps(network(model, "2"), model, "2", order)


class Mixed(nn.Module):
    """All values are sorted, so that nobody can tell rows from columns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = x.flatten(1).double()
        return (whole.sort(1).values.roll(1, 1) * torch.linspace(-1, 1, whole.shape[1])).float().reshape(x.shape)


def test_what_cannot_be_told_is_refused_with_the_option_that_tells() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), Order(0, 2, 3, 1), Mixed())
    with pytest.raises(BadActivations, match=r"'2'.*shape \(1, 8, 12, 8\).*--layout 2=NCHW, NHWC or NTC:HxW\+PREFIX"):
        network(model, "2")
    assert_maps(made := network(model, "2", **{"2": "NHWC"}), model, "2", (0, 3, 1, 2))
    assert made.shapes == {"2": (8, 8, 12)}


@pytest.mark.parametrize("attends", [False, True])
def test_tokens_are_maps_where_their_layout_is_told(attends: bool) -> None:
    torch.manual_seed(0)
    model = Tokens(attends).eval()
    with pytest.raises(
        BadActivations, match=r"'out'.*\(1, 26, 6\).*N, token, C.*--layout out=NTC.*= 26.*out:token0 to out:token25"
    ):
        network(model, "out")
    made = network(model, "tokens", "out", tokens="NTC:4x6+2", out="NTC:4x6+2")
    assert made.shapes == {"tokens": (6, 4, 6), "out": (6, 4, 6)}
    shown, image = picture(0)
    plain = outputs_of(model, image, ["out"])["out"][0][:, 2:].unflatten(1, (4, 6)).permute(0, 3, 1, 2)
    np.testing.assert_allclose(made.maps([shown])["out"], plain.numpy(), rtol=1e-4, atol=1e-5)
    field = made.traces["tokens"].field
    box = field.box(1, 2)
    assert box is not None
    assert (box.left, box.top, box.right, box.bottom) == (16, 8, 24, 16)
    assert made.traces["out"].field.kind == ("whole input" if attends else field.kind)


@pytest.mark.parametrize(
    ("layer", "layout", "why"),
    [
        ("out", "NTC:4x6+1", "has 25 tokens|25 tokens and the output 26"),
        ("out", "NCHW", "has 4 dimensions and the output 3"),
        ("patches", "NHWC", "whose dimensions are N, C, y, x"),
        ("gone", "NHWC", "not among the layers"),
    ],
)
def test_a_layout_that_is_not_the_layers(layer: str, layout: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        network(Tokens(False), "out", "patches", **{layer: layout})


@pytest.mark.parametrize("text", ["", "NCWH", "NTC", "NTC:7", "NTC:0x7", "NTC:7x7-1", "NTC:7x7+"])
def test_words_that_are_no_layout(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"NCHW, NHWC or NTC:HxW\+PREFIX"):
        parse_layouts([f"a={text}"])


def test_layouts_as_words() -> None:
    told = parse_layouts(["a.b=NTC:14x9", "c=NHWC", "d=e=NTC:2x3+5"])
    assert {layer: str(layout) for layer, layout in told.items()} == {
        "a.b": "NTC:14x9+0", "c": "NHWC", "d=e": "NTC:2x3+5",
    }  # fmt: skip
    assert all(Layout.parse(str(layout)) == layout for layout in told.values())
    with pytest.raises(InvalidRequest, match="twice"):
        parse_layouts(["a=NCHW", "a=NHWC"])


def tokens() -> tuple[nn.Module, Any]:
    torch.manual_seed(0)
    return Tokens(True), PREPROCESSING


def test_an_index_remembers_the_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "images").mkdir()
    for seed in range(3):
        picture(seed)[0].save(tmp_path / "images" / f"{seed}.png")
    command = ["build", str(tmp_path / "images"), "--model", "tests.indexer.test_layouts:tokens", "--out"]
    index = tmp_path / "index"
    assert main([*command, str(index), "--layers", "out", "--layout", "out=NTC:4x6+2"]) == 0
    assert "out: receptive field whole input: " in capsys.readouterr().out
    assert main(["info", str(index)]) == 0
    assert "layout NTC:4x6+2" in capsys.readouterr().out
    configuration = read_manifest(index).configuration
    assert Configuration.from_json(configuration.to_json()) == configuration
    again = network_of(configuration)
    assert configuration_of(again, False).digest == configuration.digest
    shown, _ = picture(5)
    shown.save(tmp_path / "images" / "5.png")
    assert main(["add", str(index)]) == 0
    expected = load_and_see(shown)
    with indexer.open(index) as opened:
        peaks = {patch.image.path: patch.activation for patch in opened.top_patches("out", neuron=3, limit=9).items}
    assert peaks["5.png"] == pytest.approx(expected[3].max(), rel=2e-3)
    assert main([*command, str(index), "--layers", "out", "--layout", "out=NTC:6x4+2"]) != 0
    assert "NTC:4x6+2" in capsys.readouterr().err


def load_and_see(shown: Image.Image) -> np.ndarray:
    """The map (C, 4, 6) of the layer, by hand."""
    image = (torch.from_numpy(np.array(shown)).permute(2, 0, 1)[None] / 255 - 0.5) / 0.25
    model = load_model("tests.indexer.test_layouts:tokens", "none").module
    return outputs_of(model, image, ["out"])["out"][0][0, 2:].T.reshape(6, 4, 6).numpy()


def test_an_index_without_a_layout_says_nothing_of_it() -> None:
    torch.manual_seed(0)
    made = network(nn.Sequential(nn.Conv2d(3, 4, 3)), "0")
    assert "layout" not in configuration_of(made, False).to_json()["layers"][0]


@pytest.mark.parametrize(
    "family",
    ["torchvision swin_t", *(pytest.param(name, marks=pytest.mark.slow) for name in ("convnextv2", "poolformer"))],
)
def test_a_few_layers_of_some_families(family: str) -> None:
    verdicts = [verdict for verdict, _ in check(family, most=6).values()]
    assert "WRONG" not in verdicts
    assert "right" in verdicts


@pytest.mark.families
@pytest.mark.parametrize("family", FAMILIES)
def test_no_layer_of_a_family_is_read_wrong(family: str) -> None:
    wrong = [layer for layer, (verdict, _) in check(family).items() if verdict == "WRONG"]
    assert wrong == []
