"""Other views of the same images, so that they do not depend on single pixels.

1. ``views = wobbled(chances, size)`` or ``cropped(chances, size, count)`` draws them, from a generator of chance for
   each image.
2. ``warp(images, views)`` shows the images so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

import torch
from torch.nn import functional

_GREY: Final = 0.5
_MOVED: Final = 12 / 224


@dataclass(frozen=True)
class Wobble:
    """How far a view may be from the image itself.

    Attributes
    ----------
    jitter : int
        Pixels to each side.
    scale : float
        Share by which it is larger or smaller.
    rotate : float
        Degrees to each side.
    """

    jitter: int
    scale: float = 0.1
    rotate: float = 10.0

    @classmethod
    def usual(cls, size: tuple[int, int]) -> Self:
        """For images of this size: moved by up to 12 of 224 pixels, and by one at least."""
        return cls(max(1, round(_MOVED * min(size))))


@dataclass(frozen=True)
class View:
    """The image turned by ``angle`` degrees anticlockwise, then enlarged ``scale`` times, both around its middle, then
    moved ``right`` and ``down`` by pixels. Beyond its edges all is grey.
    """

    angle: float = 0.0
    scale: float = 1.0
    right: float = 0.0
    down: float = 0.0


def wobbled(chances: Sequence[torch.Generator], wobble: Wobble) -> list[View]:
    """A view of each image, near to the image itself."""
    views = []
    for chance in chances:
        angle, scale, right, down = (torch.rand(4, generator=chance) * 2 - 1).tolist()
        views.append(View(
            angle * wobble.rotate, 1 + scale * wobble.scale, round(right * wobble.jitter), round(down * wobble.jitter)
        ))  # fmt: skip
    return views


def cropped(
    chances: Sequence[torch.Generator], size: tuple[int, int], count: int, largest: float, smallest: float
) -> list[View]:
    """``count`` crops of each image, of sides between these shares of the image's, about its middle more often."""
    views = []
    for chance in chances:
        sides = smallest + (largest - smallest) * torch.rand(count, generator=chance)
        middles = (torch.randn(count, 2, generator=chance) * 0.15).clamp(-0.5, 0.5)
        for side, (y, x) in zip(sides.tolist(), middles.tolist(), strict=True):
            room = (1 - side) / 2
            y, x = min(max(y, -room), room), min(max(x, -room), room)
            views.append(View(0.0, 1 / side, -x * size[1] / side, -y * size[0] / side))
    return views


def warp(images: torch.Tensor, views: Sequence[View]) -> torch.Tensor:
    """Images (B, 3, h, w) as seen so, interpolated between pixels; several views in a row may be of one image.

    Returns
    -------
    Tensor (len(views), 3, h, w)
    """
    several = images.repeat_interleave(len(views) // len(images), dim=0)
    height, width = images.shape[2:]
    matrices = torch.tensor([_matrix(view, height, width) for view in views], dtype=images.dtype, device=images.device)
    grid = functional.affine_grid(matrices, list(several.shape), align_corners=False)
    return functional.grid_sample(several - _GREY, grid, padding_mode="zeros", align_corners=False) + _GREY


def _matrix(view: View, height: int, width: int) -> list[list[float]]:
    """From positions of the view to those of the image, both from -1 to 1."""
    cosine, sine = math.cos(math.radians(view.angle)) / view.scale, math.sin(math.radians(view.angle)) / view.scale
    right, down = -view.right, -view.down
    return [
        [cosine, -sine * height / width, (cosine * right - sine * down) * 2 / width],
        [sine * width / height, cosine, (sine * right + cosine * down) * 2 / height],
    ]
