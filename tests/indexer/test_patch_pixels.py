"""A patch's box is right if nothing outside it matters and something inside it does."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms._presets import ImageClassification

from indexer.images.geometry import Box
from indexer.images.preprocessing import Preprocessing
from indexer.inputs.forms import understood
from indexer.network.forward import Network
from indexer.network.models import LoadedModel, load_model
from tests.conftest import random_photo
from tests.marks import seeds

FIGURES = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

CASES = [
    # resize, crop, picture width x height
    ((110,), (96, 128), (260, 150)),
    ((110,), (96, 128), (131, 240)),  # upright: the crop is padded left and right
    ((96, 128), None, (300, 170)),
    ((150,), (96, 128), (90, 70)),  # enlarged
    (None, (96, 128), (160, 140)),
]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model("squeezenet1_1", "none")


@pytest.mark.parametrize(("resize", "crop", "size"), CASES)
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_painting_outside_and_inside(
    model: LoadedModel, resize: tuple, crop: tuple, size: tuple[int, int], interpolation: str
) -> None:
    preprocessing = Preprocessing(resize, crop, interpolation, **FIGURES)
    loaded = LoadedModel(model.name, model.weights, model.module, preprocessing, model.digest, [])
    layer = "features.4"
    network = Network(loaded, [layer])
    rng = np.random.default_rng(size[0])
    picture = random_photo(rng, *size)
    before = network.maps([picture])[layer][0]
    placement = preprocessing.placement(*size)
    height, width = network.shapes[layer][1:]
    for y, x in [(0, 0), (height - 1, width - 1), (height // 2, width // 2), (1, width - 3), (height - 2, 2)]:
        field = network.traces[layer].field.box(y, x)
        assert field is not None
        box = placement.to_original(field)
        assert 0 <= box.left < box.right <= size[0]
        assert 0 <= box.top < box.bottom <= size[1]
        outside = network.maps([painted(picture, box, rng, inside=False)])[layer][0]
        np.testing.assert_allclose(outside[:, y, x], before[:, y, x], atol=1e-5)
        inside = network.maps([painted(picture, box, rng, inside=True)])[layer][0]
        assert np.abs(inside[:, y, x] - before[:, y, x]).max() > 1e-2


def painted(picture: Image.Image, box: Box, rng: np.random.Generator, *, inside: bool) -> Image.Image:
    pixels = np.asarray(picture).copy()
    noise = rng.integers(0, 256, pixels.shape, dtype=np.uint8)
    mask = np.zeros(pixels.shape[:2], bool)
    mask[box.top : box.bottom, box.left : box.right] = True
    pixels[mask == inside] = noise[mask == inside]
    return Image.fromarray(pixels)


@pytest.mark.parametrize("seed", seeds(6, 2))
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"])
def test_sources_of_an_input_pixel(seed: int, interpolation: str) -> None:
    """Changing an original pixel changes exactly such input pixels as claim it, but for weights that round to 0."""
    rng = np.random.default_rng(seed)
    width, height = int(rng.integers(9, 40)), int(rng.integers(9, 40))
    preprocessing = Preprocessing((int(rng.integers(8, 40)),), (11, 17), interpolation, **FIGURES)
    placement = preprocessing.placement(width, height)
    base = Image.fromarray(np.full((height, width, 3), 128, np.uint8))
    reference = preprocessing.pixels(base)
    for _ in range(6):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        changed = np.asarray(base).copy()
        changed[y, x] = 255
        differs = (preprocessing.pixels(Image.fromarray(changed)) != reference).any(axis=2)
        for row, column in np.argwhere(differs).tolist():
            box = placement.to_original(Box(column, row, column + 1, row + 1))
            assert box.left <= x < box.right
            assert box.top <= y < box.bottom


@pytest.mark.parametrize(("resize", "crop"), [(64, 56), (256, 224), (40, 40), (30, 50)])
@pytest.mark.parametrize("size", [(100, 75), (75, 100), (333, 64), (41, 41)])
def test_tensors_are_those_of_torchvision(resize: int, crop: int, size: tuple[int, int]) -> None:
    preset = ImageClassification(crop_size=crop, resize_size=resize)
    ours = understood(preset, "torchvision").complete("any")[0]
    picture = random_photo(np.random.default_rng(1), *size)
    pixels = torch.from_numpy(ours.pixels(picture).copy())[None].permute(0, 3, 1, 2)
    assert torch.equal(ours.normalise(pixels)[0], preset(picture))
    assert Preprocessing.from_json(ours.to_json()) == ours
