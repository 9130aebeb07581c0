"""Layers that are parts of an output: of tuples, dicts, dataclasses; single tokens; against a plain forward pass."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from indexer.errors import BadActivations, InvalidRequest
from indexer.explain.rest import rest_behind
from indexer.images.geometry import Box
from indexer.network.differentiable import unit_of
from indexer.network.forward import Network
from tests.indexer.test_layouts import Tokens, Unfollowed, network, picture
from tests.marks import seeds

SIZE = (32, 48)


@dataclass
class Outputs:
    fine: torch.Tensor
    states: tuple[torch.Tensor, ...]
    loss: torch.Tensor | None = None


class Named(NamedTuple):
    fine: torch.Tensor
    coarse: torch.Tensor


class ModelOutput(OrderedDict):
    """A dict and a dataclass at once, which leaves out fields that are None, as those of `transformers` are."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            if getattr(self, field.name) is not None:
                self[field.name] = getattr(self, field.name)


@dataclass
class TowerOutput(ModelOutput):
    last_hidden_state: torch.Tensor | None = None
    pooler_output: torch.Tensor | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


Form = Callable[[torch.Tensor, torch.Tensor], Any]
FORMS: dict[str, tuple[Form, str, str]] = {
    "tuple": (lambda fine, coarse: (fine, coarse), "0", "1"),
    "list": (lambda fine, coarse: [fine, coarse], "0", "1"),
    "dict": (lambda fine, coarse: {"a.b:c": fine, 7: coarse}, "a.b:c", "7"),
    "named tuple": (Named, "fine", "coarse"),
    "dataclass": (lambda fine, coarse: Outputs(fine, (fine * 2, coarse)), "fine", "states:1"),
    "ModelOutput": (lambda fine, coarse: TowerOutput(fine, None, (coarse,)), "last_hidden_state", "attentions:0"),
    "nested": (lambda fine, coarse: ({"x": [fine]}, {"y": (None, coarse)}), "0:x:0", "1:y:1"),
}


class Pair(nn.Module):
    """Two maps of one image, in some form; what follows rewrites the first in place."""

    def __init__(self, form: Form, followed: bool) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.Conv2d(4, 5, 5, stride=4)
        self.form, self.last = form, nn.Identity() if followed else Unfollowed()

    def forward(self, x: torch.Tensor) -> Any:
        fine = self.last(self.fine(x))
        return self.form(fine, self.coarse(fine))


class Whole(nn.Module):
    def __init__(self, form: Form, followed: bool, first: str) -> None:
        super().__init__()
        self.pair, self.head = Pair(form, followed), nn.Linear(4, 2)
        self.first = first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []
        returned = self.pair(x)
        pick(returned, kept.append)
        return self.head(kept[0].relu_().mean((2, 3)))


def pick(returned: Any, see: Callable[[torch.Tensor], object]) -> None:
    """Each tensor within, in order; nothing that is tested here."""
    if isinstance(returned, torch.Tensor | torch.fx.Proxy):
        see(returned)
    elif isinstance(returned, Outputs):
        pick(vars(returned), see)
    else:
        for item in returned.values() if isinstance(returned, dict) else returned or ():
            pick(item, see)


def plain(model: Whole, image: torch.Tensor) -> list[torch.Tensor]:
    tensors: list[torch.Tensor] = []
    handle = model.pair.register_forward_hook(lambda m, x, out: pick(out, lambda each: tensors.append(each.clone())))
    with torch.no_grad():
        model(image)
    handle.remove()
    return [tensors[0], tensors[-1]]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("followed", [True, False])
def test_a_part_of_an_output_is_a_layer(name: str, followed: bool) -> None:
    form, *keys = FORMS[name]
    torch.manual_seed(len(name))
    model = Whole(form, followed, keys[0]).eval()
    layers = [f"pair:{key}" for key in keys]
    made = network(model, *layers, "pair.fine")
    assert [made.shapes[layer] for layer in layers] == [(4, 16, 24), (5, 3, 5)]
    for seed in range(3):
        shown, image = picture(seed)
        maps = made.maps([shown])
        for layer, expected in zip(layers, plain(model, image), strict=True):
            np.testing.assert_allclose(maps[layer], expected.numpy(), rtol=1e-5, atol=1e-5)
    field = made.traces[layers[1]].field
    assert field.kind == ("exact" if followed else "measured")
    assert field.box(1, 2) == Box(15, 7, 26, 18)


def test_a_part_alone_and_beside_its_siblings_is_the_same() -> None:
    torch.manual_seed(0)
    model = Whole(FORMS["tuple"][0], True, "0").eval()
    shown, _ = picture(5)
    together = network(model, "pair:1", "pair:0").maps([shown])
    for layer in together:
        np.testing.assert_array_equal(network(model, layer).maps([shown])[layer], together[layer])


@pytest.mark.parametrize(("layer", "error", "words"), [
    ("pair", BadActivations, r"'pair' gives an? Outputs, not a tensor; name a part of it: pair:fine \(1, 4, 16, 24\), "
        r"pair:states:0 \(1, 4, 16, 24\), pair:states:1 \(1, 5, 3, 5\)"),
    ("pair:coarse", InvalidRequest, r"'pair' returns no part 'coarse'; it returns pair:fine \(1, 4, 16, 24\), pair:st"),
    ("pair:states", InvalidRequest, r"'pair' returns no part 'states'; it returns .*pair:states:0 \(1, 4, 16, 24\)"),
    ("pair:loss", InvalidRequest, r"'pair' returns no part 'loss'; it returns pair:fine \(1, 4, 16, 24\)"),
    ("pair:fine:token0", InvalidRequest, r"a token is one of \(N, T, C\), and the shape is \(1, 4, 16, 24\)"),
    ("pair.fine:0", InvalidRequest, r"'pair.fine' returns no part '0'; it returns a tensor of shape \(1, 4, 16, 24\)"),
    ("pear:0", InvalidRequest, "no module 'pear:0'; it has .*pair"),
    ("pair:", InvalidRequest, "no module 'pair:'"),
])  # fmt: skip
@pytest.mark.parametrize("followed", [True, False])
def test_a_part_that_is_none_is_refused_with_those_that_there_are(
    layer: str, error: type[Exception], words: str, followed: bool
) -> None:
    with pytest.raises(error, match=words):
        network(Whole(FORMS["dataclass"][0], followed, "fine"), layer)


def test_the_activation_of_a_parts_cell_is_explained_and_its_change_is_refused() -> None:
    torch.manual_seed(0)
    made = network(Whole(FORMS["tuple"][0], True, "0"), "pair:1", "head")
    shown, image = picture(1)
    unit = unit_of(made, "pair:1", 3, 1, 2)
    assert unit(image).item() == pytest.approx(float(made.maps([shown])["pair:1"][0, 3, 1, 2]), rel=1e-4, abs=1e-5)
    with pytest.raises(InvalidRequest, match="one of head, not 'pair:1', a part of an output"):
        rest_behind(made, "pair:1", "head")


class Tower(nn.Module):
    """A transformer's tokens in an output, after a class token."""

    def __init__(self, attends: bool) -> None:
        super().__init__()
        self.tower = Tokens(attends)
        self.tower.register_forward_hook(lambda m, x, out: TowerOutput(out, out[:, 0]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tower(x)["pooler_output"]


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize("attends", [True, False])
def test_tokens_are_layers_of_one_cell_beside_the_map_of_patches(seed: int, attends: bool) -> None:
    torch.manual_seed(seed)
    model = Tower(attends).eval()
    states = "tower:last_hidden_state"
    layers = ["tower.tokens:token1", f"{states}:token0", "tower:pooler_output", f"{states}:token10"]
    made = network(model, states, *layers, **{states: "NTC:4x6+2"})
    shown, image = picture(seed)
    maps = made.maps([shown])
    outs: dict[str, torch.Tensor] = {}
    model.tower.tokens.register_forward_hook(lambda m, x, out: outs.update(tokens=out))
    model.tower.out.register_forward_hook(lambda m, x, out: outs.update(out=out))
    with torch.no_grad():
        model(image)
    whole = outs["out"][0, 2:].T.reshape(6, 4, 6)
    expected = [outs["tokens"][0, 1], outs["out"][0, 0], outs["out"][0, 0], outs["out"][0, 10]]
    np.testing.assert_allclose(maps[states][0], whole, rtol=1e-4, atol=1e-5)
    for layer, vector in zip(layers, expected, strict=True):
        assert made.shapes[layer] == (6, 1, 1)
        np.testing.assert_allclose(maps[layer][0, :, 0, 0], vector, rtol=1e-4, atol=1e-5)
    assert made.traces["tower.tokens:token1"].field.box(0, 0) == Box(0, 0, 0, 0)  # it sees no pixel
    box = made.traces[f"{states}:token10"].field.box(0, 0)
    assert box == (Box(0, 0, 48, 32) if attends else Box(16, 8, 24, 16))  # patch 8: row 1, column 2


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 2), (3, 5)])
def test_one_bright_square_shows_in_its_cell_and_its_token_alone(row: int, column: int) -> None:
    torch.manual_seed(row)
    names = {f"tower.tokens:token{token}": token - 2 for token in (0, 2, 10, 25)}
    made = network(Tower(False), "tower.tokens", *names, **{"tower.tokens": "NTC:4x6+2"})
    dark = np.zeros((*SIZE, 3), np.uint8)
    lit = dark.copy()
    lit[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 255
    before, after = (made.maps([Image.fromarray(pixels)]) for pixels in (dark, lit))
    changed = {layer: (before[layer] != after[layer])[0].any(0) for layer in before}
    assert np.argwhere(changed["tower.tokens"]).tolist() == [[row, column]]
    assert {layer: bool(changed[layer]) for layer in names} == {
        layer: patch == 6 * row + column for layer, patch in names.items()
    }


class Normed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before, self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.first = nn.BatchNorm2d(4)
        for norm in (self.norm, self.first):
            norm.running_mean, norm.running_var = torch.randn(4), torch.rand(4) + 0.5

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        x = self.conv(self.first(self.before(x)))
        return {"raw": x, "normed": self.norm(x)}


def test_folding_leaves_a_part_the_same_quantity() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(Normed(), Unread())
    plain = network(model, "0:raw", "0:normed")
    folded = Network(plain.model, ["0:raw", "0:normed"], torch.device("cpu"), "float32-folded")
    shown, _ = picture(0)
    maps = folded.maps([shown])
    for layer, expected in plain.maps([shown]).items():
        np.testing.assert_allclose(maps[layer], expected, rtol=1e-3, atol=1e-4)


class Unread(nn.Module):
    def forward(self, returned: dict[str, torch.Tensor]) -> torch.Tensor:
        return returned["normed"].mean((2, 3))


def test_a_part_of_what_torchs_own_module_returns_is_followed() -> None:
    torch.manual_seed(0)
    model = Tokens(True).eval()
    made = network(model, "attention:0", "attention:0:token1", **{"attention:0": "NTC:4x6+2"})
    shown, image = picture(0)
    attended: list[torch.Tensor] = []
    model.attention.register_forward_hook(lambda m, x, out: attended.append(out[0]))
    with torch.no_grad():
        model(image)
    maps = made.maps([shown])
    np.testing.assert_allclose(maps["attention:0"], attended[0][:, 2:].mT.unflatten(2, (4, 6)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(maps["attention:0:token1"][:, :, 0, 0], attended[0][:, 1], rtol=1e-4, atol=1e-5)
    assert made.traces["attention:0"].field.kind == "whole input"
    assert made.traces["attention:0:token1"].field.kind == "exact"
