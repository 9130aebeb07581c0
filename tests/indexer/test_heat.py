"""A map laid over a picture: where it is drawn at any size, and what that takes."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer import pictures
from indexer.images.geometry import Box
from indexer.pictures import heat
from indexer.pictures.crop import scale
from tests.marks import seeds

LAYER = "features.7"


def shown(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture).astype(float)


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize(("width", "height"), [(211, 97), (60, 180), (5, 60)])
def test_strips_are_those_of_the_whole(
    small_index: Path, seed: int, width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    picture = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
    with indexer.open(small_index) as index:
        map_ = rng.random(index.layers[LAYER].info.shape).astype(np.float32) * 40
        whole = shown(pictures.heat_map_of(index, picture, map_, LAYER, seed))
        assert np.abs(whole - shown(picture)).max() > 20
        monkeypatch.setattr(heat, "STRIP_PIXELS", 7 * width)
        strips = shown(pictures.heat_map_of(index, picture, map_, LAYER, seed))
    assert np.abs(strips - whole).max() <= 1


@pytest.mark.parametrize("seed", seeds(3, 2))
@pytest.mark.parametrize("size", [50, 90, 400])
def test_heat_lies_at_the_same_places_at_any_size(small_index: Path, seed: int, size: int) -> None:
    """Beside the map drawn over every pixel and made smaller or larger afterwards; on a grey picture, for edges."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", (230, 140), (128, 128, 128))
    with indexer.open(small_index) as index:
        map_ = np.zeros(index.layers[LAYER].info.shape, np.float32)
        map_[tuple(rng.integers(2, side - 2) for side in map_.shape)] = 1000
        found = pictures.heat_map_of(index, picture, map_, LAYER, 3, size=size)
        expected = scale(pictures.heat_map_of(index, picture, map_, LAYER, 3), size)
    assert found.size == expected.size
    assert np.abs(shown(found) - shown(expected)).mean() < 2.5
    marked = np.abs(shown(expected) - 128).sum(axis=2) > 60
    assert marked.any()
    assert not marked.all()
    for axis in (0, 1):
        centre = np.nonzero(marked)[axis].mean()
        assert np.nonzero(np.abs(shown(found) - 128).sum(axis=2) > 60)[axis].mean() == pytest.approx(centre, abs=1.5)


def test_a_region_shows_what_the_whole_shows_there(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        image = index.find_images(limit=1).items[0]
        neuron = index.neurons_firing(image.id, layer=LAYER, limit=1, fraction=1).items[0].neuron
        whole = shown(pictures.heat_map(index, image, LAYER, neuron))
        for y, x in ((2, 3), (5, 1)):
            box: Box = index.box(image, LAYER, y, x)
            patch = shown(pictures.patch(index, image, LAYER, y, x, heat=neuron))
            assert np.abs(patch - whole[box.top : box.bottom, box.left : box.right]).max() <= 1


@pytest.mark.parametrize("size", [None, 224])
def test_a_large_picture_takes_little_memory(small_index: Path, size: int | None) -> None:
    picture = Image.new("RGB", (3100, 2300), (9, 99, 199))
    with indexer.open(small_index) as index:
        map_ = np.ones(index.layers[LAYER].info.shape, np.float32)
        tracemalloc.start()
        try:
            drawn = pictures.heat_map_of(index, picture, map_, LAYER, 0, size=size)
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert max(drawn.size) == (size or 3100)
    assert taken < 60e6, "570 MB for all pixels at once"
