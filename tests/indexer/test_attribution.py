"""Why it fires: against captum called directly on the plain model, and against occluding by hand."""

import builtins
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotInstalled
from indexer.images.geometry import Box
from indexer.network import attribution
from indexer.network.attribution import METHODS, attribute
from indexer.network.differentiable import unit_of
from indexer.network.forward import Network
from indexer.pictures.saliency import saliency
from indexer.query.index import Index
from indexer.query.records import Patch
from tests.conftest import INPUT
from tests.marks import seeds
from tests.reference import plain_input, plain_model

captum = pytest.importorskip("captum.attr", reason="the extra saliency is not installed")
LAYERS = ("features.1", "features.7", "features.12")


@pytest.fixture(scope="module")
def network(index: Index) -> Network:
    return Network(index.network().model, LAYERS)


@pytest.fixture(scope="module")
def plain() -> torch.nn.Module:
    """The model without in-place ReLUs, which captum's hooks cannot bear."""
    model = plain_model()
    for module in model.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    return model.requires_grad_(False)


def cell_of(network: Network, layer: str, seed: int, pixels: np.ndarray) -> tuple[int, int, int]:
    """A cell (neuron, y, x) that is active."""
    maps = network.maps([Image.fromarray(pixels)])[layer][0]
    return tuple(np.random.default_rng(seed).choice(np.argwhere(maps > 0)).tolist())


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("seed", seeds(3))
@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_are_those_of_captum_on_the_plain_model(
    index: Index, network: Network, plain: torch.nn.Module, photo_folder: Path, layer: str, seed: int
) -> None:
    record = index.find_images(limit=1, offset=seed).items[0]
    pixels = network.model.preprocessing.pixels(index.picture(record))
    unit = unit_of(network, layer, *(cell := cell_of(network, layer, seed, pixels)))
    batch = plain_input(photo_folder / record.path, 110, INPUT)[None].requires_grad_()
    target = dict(plain.named_modules())[layer]
    direct = {
        "gradient": captum.NeuronGradient(plain, target).attribute(batch, cell),
        "guided-backprop": captum.NeuronGuidedBackprop(plain, target).attribute(batch, cell),
        "integrated-gradients": captum.NeuronIntegratedGradients(plain, target).attribute(
            batch, cell, n_steps=attribution.STEPS
        ),
    }
    for method, expected in direct.items():
        found = attribute(unit, pixels, method)
        assert found.shape == (3, *INPUT)
        assert np.abs(found).max() > 0
        np.testing.assert_allclose(found, expected[0].detach().numpy(), rtol=1e-3, atol=1e-5 * np.abs(found).max())
        field = network.traces[layer].field.box(*cell[1:])
        outside = found.copy()
        outside[:, field.top : field.bottom, field.left : field.right] = 0
        assert not outside.any()
    assert not np.allclose(attribute(unit, pixels, "gradient"), attribute(unit, pixels, "guided-backprop")) or (
        layer == "features.1"
    )


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize("layer", ["features.1", "features.7"])
def test_occlusion_is_that_by_hand(
    index: Index, network: Network, plain: torch.nn.Module, photo_folder: Path, layer: str, seed: int
) -> None:
    record = index.find_images(limit=1, offset=seed).items[0]
    pixels = network.model.preprocessing.pixels(index.picture(record))
    cell = cell_of(network, layer, seed, pixels)
    field = network.traces[layer].field.box(*cell[1:])
    found = attribute(unit_of(network, layer, *cell), pixels, "occlusion", field)
    batch = plain_input(photo_folder / record.path, 110, INPUT)[None]
    until = plain.features[: int(layer.split(".")[1]) + 1]
    total, count = np.zeros(INPUT), np.zeros(INPUT)
    for rows in windows(field.top, field.bottom):
        for columns in windows(field.left, field.right):
            covered = batch.clone()
            covered[:, :, rows, columns] = 0
            neuron, y, x = cell
            total[rows, columns] += float((until(batch) - until(covered))[0, neuron, y, x])
            count[rows, columns] += 1
    expected = total / np.maximum(count, 1)
    assert np.abs(expected).max() > 0
    for channel in found:
        np.testing.assert_allclose(channel, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def windows(first: int, end: int) -> list[slice]:
    """Windows of a sixth of an interval, in steps of half their length, the last one cut."""
    side = math.ceil((end - first) / 6)
    step = max(1, side // 2)
    return [slice(first + n * step, min(first + n * step + side, end))
            for n in range(math.ceil((end - first - side) / step) + 1)]  # fmt: skip


def test_the_network_is_left_as_it_is(index: Index, network: Network) -> None:
    picture = index.picture(index.find_images(limit=1).items[0])
    before = network.maps([picture])
    attribute(unit_of(network, "features.7", 3, 1, 2), network.model.preprocessing.pixels(picture), "guided-backprop")
    after = network.maps([picture])
    assert all(np.array_equal(before[layer], after[layer]) for layer in LAYERS)
    assert any(getattr(module, "inplace", False) for module in network.model.module.modules())


def active_patch(index: Index, layer: str) -> Patch:
    neuron = int(np.argmax(index.neuron_statistics(layer)["positive_cells"]))
    return index.top_patches(layer, neuron, limit=1).items[0]


def test_the_picture_is_coloured_where_the_attribution_is(index: Index) -> None:
    """One input pixel that matters is coloured at its place in the original, and nothing far from it is."""
    patch = active_patch(index, "features.7")
    field = index.layer("features.7").info.field.box(patch.y, patch.x)
    row, column = field.top + field.height // 3, field.left + field.width // 4
    made = np.zeros((3, *INPUT), np.float32)
    place = patch.image, "features.7", patch.y, patch.x
    plain_picture = np.asarray(saliency(index, lambda *_: made, *place)).astype(int)
    made[:, row, column] = 1
    coloured = np.asarray(saliency(index, lambda *_: made, *place)).astype(int)
    assert coloured.shape == (patch.box.height, patch.box.width, 3)
    strength = np.abs(coloured - plain_picture).sum(axis=2)
    y, x = np.unravel_index(strength.argmax(), strength.shape)
    placement = index.manifest.configuration.preprocessing.placement(patch.image.width, patch.image.height)
    exact = placement.to_original(Box(column, row, column + 1, row + 1))
    assert exact.left <= patch.box.left + x < exact.right
    assert exact.top <= patch.box.top + y < exact.bottom
    far = np.ones(strength.shape, bool)
    reach = 2 * max(exact.width, exact.height)
    far[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach] = False
    assert not strength[far].any()


@pytest.mark.parametrize("method", METHODS)
def test_pictures_have_the_size_asked_for(index: Index, network: Network, method: str) -> None:
    patch = active_patch(index, "features.7")
    unit = unit_of(network, "features.7", patch.neuron, patch.y, patch.x)
    place = patch.image, "features.7", patch.y, patch.x
    made = saliency(index, lambda *given: attribute(unit, given[0], method, given[1]), *place, size=80, context=0.5)
    assert max(made.size) == 80


def test_missing_parts_are_named(index: Index, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((*INPUT, 3), np.uint8)
    unit = unit_of(network, "features.7", 0, 0, 0)
    with pytest.raises(InvalidRequest, match="guided-backprop, gradient"):
        attribute(unit, pixels, "magic")
    unit.layer.model = torch.nn.Identity()
    with pytest.raises(InvalidRequest, match="has none"):
        attribute(unit, pixels, "guided-backprop")
    without_captum(monkeypatch)
    with pytest.raises(NotInstalled, match=r"unitscope\[saliency\]"):
        attribute(unit, pixels, "gradient")


def without_captum(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("captum"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)


def test_command(small_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / "why.png"
    common = ["saliency", str(small_index), "--layer", "features.7", "--out", str(out), "--method", "gradient"]
    with indexer.open(small_index) as index:
        patch = active_patch(index, "features.7")
    assert main([*common, "--neuron", str(patch.neuron), "--size", "90"]) == 0
    assert f"image {patch.image.id} ({patch.image.path}), cell {patch.y},{patch.x}" in capsys.readouterr().out
    with Image.open(out) as picture:
        assert max(picture.size) == 90
    assert main([*common, "--neuron", str(patch.neuron), "--image", str(patch.image.id)]) == 0
    assert f"cell {patch.y},{patch.x}" in capsys.readouterr().out
    assert main([*common, "--neuron", "9999"]) == 1
    assert main([*common, "--neuron", "1", "--y", "2"]) == 1
    assert "both, or neither" in capsys.readouterr().err
