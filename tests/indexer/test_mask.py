"""Patches through a mask: against attributions, a blur and a threshold by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer import pictures
from indexer.cli import main
from indexer.exports.coco import export_patches
from indexer.images.geometry import Box
from indexer.network.attribution import attribute
from indexer.network.differentiable import unit_of
from indexer.pictures.mask import Cell, Mask, blurred, mask_of, unmasked
from indexer.pictures.mosaic import mosaic
from indexer.pictures.sheet import sheet
from indexer.query.index import Index
from indexer.query.records import Patch
from tests.effective import LAYER, NEURON, build_effective
from tests.marks import seeds

pytest.importorskip("captum.attr", reason="the extra saliency is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_effective(tmp_path_factory.mktemp("masks"))


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    return indexer.open(folder)


def blurred_by_hand(strength: np.ndarray, spread: float) -> np.ndarray:
    """Each pixel as the sum of all, weighted by a Gaussian of their distance."""
    height, width = strength.shape
    y, x = np.mgrid[:height, :width]
    made = np.zeros(strength.shape)
    for row in range(height):
        for column in range(width):
            distance = ((y - row) ** 2 + (x - column) ** 2) / spread**2
            made[row, column] = (strength * np.exp(-distance / 2)).sum() / (2 * np.pi * spread**2)
    return made


@pytest.mark.parametrize("seed", seeds(2))
@pytest.mark.parametrize(("field", "spread"), [(Box(2, 1, 9, 8), 1.0), (Box(0, 0, 96, 14), 3.0), (None, 1.0)])
def test_the_blur_is_that_of_the_field(seed: int, field: Box | None, spread: float) -> None:
    strength = np.random.default_rng(seed).random((14, 19)).astype(np.float32)
    np.testing.assert_allclose(blurred(strength, field), blurred_by_hand(strength, spread), rtol=1e-6)


def hidden_by_hand(index: Index, patch: Patch) -> np.ndarray:
    """Whether each input pixel (h, w) is below a fifth of the highest blurred attribution."""
    pixels = index.manifest.configuration.preprocessing.pixels(index.picture(patch.image))
    unit = unit_of(index.network(), LAYER, NEURON, patch.y, patch.x)
    strength = blurred_by_hand(np.abs(attribute(unit, pixels, "gradient")).sum(axis=0), 1.0)
    return strength < 0.2 * strength.max()


def by_gradients(index: Index) -> Mask:
    network = index.network()

    def attribution(cell: Cell, pixels: np.ndarray, field: Box | None) -> np.ndarray:
        return attribute(unit_of(network, cell.layer, cell.neuron, cell.y, cell.x), pixels, "gradient")

    return mask_of(index, attribution)


def test_what_does_not_matter_is_dark_and_the_rest_as_it_was(index: Index) -> None:
    preprocessing = index.manifest.configuration.preprocessing
    mask = by_gradients(index)
    for patch in index.top_patches(LAYER, NEURON, limit=3).items:
        original = index.picture(patch.image)
        whole = Box(0, 0, *original.size)
        plain = np.asarray(original).astype(int)
        made = np.asarray(mask(patch, original, original, whole)).astype(int)
        dark = np.abs(made - np.round(plain * 0.25)).max(axis=2) <= 1
        assert (dark | (made == plain).all(axis=2)).all()
        hidden = hidden_by_hand(index, patch)
        assert 0 < hidden.mean() < 1
        placement = preprocessing.placement(*original.size)
        for y, x in np.random.default_rng(0).integers(0, hidden.shape, (80, 2)).tolist():
            near = hidden[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            if near.all() or not near.any():  # no threshold runs through it
                column = int((x + 0.5 + placement.x.offset) * original.width / placement.x.resized)
                row = int((y + 0.5 + placement.y.offset) * original.height / placement.y.resized)
                if 0 <= row < original.height and 0 <= column < original.width:  # the crop may reach beyond the picture
                    assert dark[row, column] == near.all() or plain[row, column].max() <= 3


def test_all_pictures_are_drawn_through_it(index: Index, tmp_path: Path) -> None:
    mask, best = by_gradients(index), index.top_patches(LAYER, NEURON, limit=2).items
    for draw in (
        lambda **masked: mosaic(index, LAYER, NEURON, columns=2, rows=1, **masked),
        lambda **masked: sheet(index, LAYER, [NEURON], columns=2, size=64, **masked).tiles[0][1].picture,
    ):
        plain, masked = (np.asarray(picture).astype(int) for picture in (draw(), draw(mask=mask)))
        assert plain.shape == masked.shape
        assert masked.sum() < 0.9 * plain.sum()
        assert (masked <= plain + 3).all()
        np.testing.assert_array_equal(np.asarray(draw(mask=unmasked)), plain)
    for name, chosen in (("plain", unmasked), ("masked", mask)):
        labels = export_patches(index, LAYER, [NEURON], tmp_path / name, top=2, mask=chosen)
    sums = [np.asarray(Image.open(tmp_path / name / labels["annotations"][0]["crop"])).sum(dtype=int)
            for name in ("plain", "masked")]  # fmt: skip
    assert sums[1] < sums[0]
    one = pictures.patch(
        index, best[0].image, LAYER, best[0].y, best[0].x,
        mask=lambda original, shown, region: mask(best[0], original, shown, region),
    )  # fmt: skip
    assert np.asarray(one).sum(dtype=int) == np.asarray(
        mask(best[0], index.picture(best[0].image), pictures.patch(index, best[0].image, LAYER, best[0].y, best[0].x),
             best[0].box)
    ).sum(dtype=int)  # fmt: skip


def test_nothing_that_matters_leaves_all_dark(index: Index) -> None:
    patch, *_ = index.top_patches(LAYER, NEURON, limit=1).items
    mask = mask_of(index, lambda cell, pixels, field: np.zeros((3, *pixels.shape[:2]), np.float32))
    shown = Image.new("RGB", (30, 20), (200, 100, 60))
    region = Box(0, 0, patch.image.width, patch.image.height)
    made = np.asarray(mask(patch, index.picture(patch.image), shown, region))
    np.testing.assert_array_equal(made, np.full((20, 30, 3), (50, 25, 15)))


def test_the_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sheet", str(folder), "--layer", LAYER, "--neurons", f"{NEURON}", "--columns", "2", "--size", "40"]
    made = []
    for number, more in enumerate(([], ["--mask"], ["--mask", "--method", "occlusion", "--field", "effective"])):
        assert main([*asked, *more, "--out", str(tmp_path / f"{number}.png")]) == 0
        made.append((tmp_path / f"{number}.png").read_bytes())
    assert len(set(made)) == 3
    assert main([*asked, "--mask", "--weights", "gone.pth", "--out", str(tmp_path / "no.png")]) == 1
    assert "gone.pth" in capsys.readouterr().err
