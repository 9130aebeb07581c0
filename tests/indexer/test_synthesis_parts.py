"""The parts of which images are made: gradients, bases, colours and views, against slow twins."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms import functional as vision

from indexer.synthesis.ascending.before_relu import BeforeReLU
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.objectives import (
    Amplified,
    Certain,
    Different,
    Direction,
    NeuronAt,
    NeuronMean,
    Objective,
    Weighted,
    gram,
)  # fmt: skip
from indexer.synthesis.images.colours import Colours
from indexer.synthesis.images.natural import natural_of
from indexer.synthesis.images.parametrisations import Fourier, Maco, Pixels, falling
from indexer.synthesis.images.transforms import View, Wobble, cropped, warp, wobbled

CPU = torch.device("cpu")
SIZES = [(20, 28), (13, 18), (15, 9)]


def pictures(count: int, size: tuple[int, int], seed: int) -> np.ndarray:
    """Smooth images (count, h, w, 3) uint8, whose channels go together."""
    rng = np.random.default_rng(seed)
    rough = torch.from_numpy(rng.random((count, 3, 4, 5)) + rng.random((count, 1, 4, 5)))
    smooth = functional.interpolate(rough, size, mode="bilinear") / 2
    return (smooth.permute(0, 2, 3, 1).numpy() * 255).astype(np.uint8)


@pytest.mark.parametrize("objective", [
    NeuronMean("a", [2, 0]), NeuronAt("a", [1, 4]), NeuronAt("a", [1, 4], (0, 3)), Direction("a", {0: 1.5, 3: -2.0}),
    Amplified("a"), Certain("a", [3, 1]), Amplified("a", [1, 2]), Different("a"),
    Weighted([(2.0, NeuronMean("a", [0, 1])), (-0.5, Amplified("b")), (0.3, Different("b"))]),
])  # fmt: skip
def test_gradients_are_finite_differences(objective: Objective) -> None:
    maps = {
        name: torch.randn(shape, dtype=torch.float64, generator=chance(name)).requires_grad_()
        for name, shape in {"a": (2, 5, 3, 4), "b": (2, 2, 3, 3)}.items()
    }
    chosen = [maps[name] for name in objective.layers]

    def value(*given: torch.Tensor) -> torch.Tensor:
        return objective(dict(zip(objective.layers, given, strict=True)))

    assert value(*chosen).shape == (2,)
    assert torch.autograd.gradcheck(value, chosen)


def test_several_views_of_an_image_are_about_its_own_neuron() -> None:
    maps = torch.randn(6, 5, 3, 4)
    expected = [maps[row, [2, 0][row // 3]].mean() for row in range(6)]
    assert torch.allclose(NeuronMean("a", [2, 0])({"a": maps}), torch.stack(expected))


def test_a_gram_matrix_is_the_mean_of_outer_products() -> None:
    maps = torch.randn(1, 3, 2, 4)
    expected = sum(torch.outer(maps[0, :, y, x], maps[0, :, y, x]) for y in range(2) for x in range(4)) / 8
    assert torch.allclose(gram(maps)[0], expected, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1])
def test_colours_come_back_and_no_longer_go_together(seed: int) -> None:
    pixels = pictures(6, (20, 28), seed)
    colours = Colours.of(pixels)
    values = torch.randn(2, 3, 5, 7, generator=chance(seed)) / 4
    assert torch.allclose(colours.values(colours.shown(values)), values, atol=1e-3)
    flat = pixels.reshape(-1, 3) / 255
    free = (flat - flat.mean(axis=0)) @ np.linalg.inv(colours.matrix)
    assert np.allclose(np.cov(free, rowvar=False), np.eye(3), atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_waves_of_an_image_are_the_image(size: tuple[int, int]) -> None:
    images = torch.from_numpy(pictures(2, size, 3)).permute(0, 3, 1, 2) / 255
    inner = images.clamp(0.02, 0.98)
    assert torch.allclose(Fourier.of(images, Colours.of(pictures(4, size, 4))).images(), inner, atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_long_waves_are_moved_farther(size: tuple[int, int]) -> None:
    scale = falling(size, CPU)
    for row in range(size[0]):
        for column in range(size[1] // 2 + 1):
            cycles = np.hypot(min(row, size[0] - row) / size[0], column / size[1])
            assert scale[row, column] == pytest.approx(1 / max(cycles, 1 / max(size)) / 4, rel=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_maco_keeps_the_magnitudes_of_photographs(size: tuple[int, int]) -> None:
    pixels = pictures(5, size, 1)
    found = natural_of(pixels)
    own = Colours.of(pixels)
    expected = [np.abs(np.fft.rfft2(own.values(torch.from_numpy(one / 255.0).permute(2, 0, 1)[None])[0].numpy()))
                for one in pixels]  # fmt: skip
    assert np.allclose(found.magnitudes, np.mean(expected, axis=0) / np.sqrt(size[0] * size[1]), rtol=1e-3, atol=1e-5)
    made = Maco(size, [chance(1), chance(2)], found, CPU)
    for _ in range(2):
        magnitudes = torch.fft.rfft2(made.values(), norm="ortho").abs()
        assert torch.allclose(magnitudes, found.magnitudes.expand_as(magnitudes), atol=1e-4)
        made.parameters = [torch.randn_like(made.parameters[0]) * 9]


def test_the_start_of_an_image_does_not_depend_on_its_neighbours() -> None:
    alone = Pixels.grey((4, 6), [chance(7, "x")], CPU).images()
    beside = Pixels.grey((4, 6), [chance(3, "x"), chance(7, "x")], CPU).images()
    assert torch.equal(alone[0], beside[1])
    assert not torch.equal(beside[0], beside[1])
    assert (alone - 0.5).abs().max() < 0.05


@pytest.mark.parametrize(
    "view", [View(), View(angle=9), View(scale=1.08), View(right=3, down=-2), View(-7, 0.93, 2, 4)]
)
def test_a_view_is_that_of_torchvision(view: View) -> None:
    image = torch.rand(1, 3, 30, 41, generator=chance("image"))
    theirs = vision.affine(
        image, -view.angle, [int(view.right), int(view.down)], view.scale, [0.0, 0.0],
        vision.InterpolationMode.BILINEAR, fill=[0.5, 0.5, 0.5],
    )  # fmt: skip
    mine = warp(image, [view])
    assert torch.allclose(mine[..., 8:-8, 8:-8], theirs[..., 8:-8, 8:-8], atol=1e-4)


def test_a_moved_view_is_grey_beyond_the_edges() -> None:
    image = torch.rand(1, 3, 10, 14)
    seen = warp(image, [View(right=3, down=-2)])
    expected = torch.full_like(image, 0.5)
    expected[..., :-2, 3:] = image[..., 2:, :-3]
    assert torch.allclose(seen, expected, atol=1e-5)


def test_a_crop_is_a_part_enlarged() -> None:
    image = torch.from_numpy(pictures(2, (16, 24), seed=8)).permute(0, 3, 1, 2) / 255
    views = cropped([chance(1), chance(2)], (16, 24), 5, 0.5, 0.25)
    seen = warp(image, views)
    assert seen.shape == (10, 3, 16, 24)
    for number, view in enumerate(views):
        assert 2 <= view.scale <= 4
        height, width = 16 / view.scale, 24 / view.scale
        top, left = 8 - view.down / view.scale - height / 2, 12 - view.right / view.scale - width / 2
        assert -1e-6 <= top <= 16 - height + 1e-6
        assert -1e-6 <= left <= 24 - width + 1e-6
        y, x = top + 0.5 * height, left + 0.5 * width  # the middle of the crop is the middle of the view
        at = torch.tensor([[[[(x * 2 / 24) - 1, (y * 2 / 16) - 1]]]], dtype=torch.float32)
        expected = functional.grid_sample(image[[number // 5]], at, align_corners=False)
        middle = functional.grid_sample(seen[[number]], torch.zeros(1, 1, 1, 2), align_corners=False)
        assert torch.allclose(middle, expected, atol=0.05)


def test_views_follow_their_own_chance() -> None:
    both = wobbled([chance(1), chance(2)], Wobble.usual((32, 40)))
    assert both[1] == wobbled([chance(2)], Wobble.usual((32, 40)))[0]
    assert [Wobble.usual(size).jitter for size in ((224, 300), (64, 32), (8, 9))] == [12, 2, 1]
    for view in wobbled([chance(number) for number in range(50)], Wobble(jitter=3, scale=0.2, rotate=5)):
        assert abs(view.angle) <= 5
        assert 0.8 <= view.scale <= 1.2
        assert max(abs(view.right), abs(view.down)) <= 3


class _Ends(nn.Module):
    """Ways in which a ReLU may end a layer."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self._way, self._relu = way, nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return {
            "module": lambda: self._relu(x.clone()),
            "function": lambda: functional.relu(x),
            "method": lambda: x.relu(),
            "in place": lambda: x.clone().relu_(),
            "concatenated": lambda: torch.cat([functional.relu(x), x.relu()], 1),
            "pooled": lambda: functional.max_pool2d(functional.relu(x), 2),
            "dropped": lambda: functional.dropout(x.relu(), training=False).flatten(1),
            "half": lambda: torch.cat([functional.relu(x), x], 1),
            "none": lambda: x * 2,
        }[self._way]()


@pytest.mark.parametrize(("way", "known"), [
    *((way, True) for way in ("module", "function", "method", "in place", "concatenated", "pooled", "dropped")),
    ("half", False), ("none", False),
])  # fmt: skip
def test_values_before_the_relu_are_found(way: str, known: bool) -> None:
    x = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    mode = BeforeReLU()
    with mode:
        output = _Ends(way)(x)
        before = mode.before(output)
    assert torch.equal(output, _Ends(way)(x))
    if known:
        assert bool((before < 0).any())
        assert torch.equal(before.relu(), output)
    else:
        assert before is output
