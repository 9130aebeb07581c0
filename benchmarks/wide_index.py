"""An index as large as a last layer of ResNet-50 on ten thousand photographs: 2048 neurons, 10,000 images.

The network is small and random, so that the index is made in minutes; walls of neurons are as much work as with a real
one. ``make_index(folder)`` gives the index's path, and makes what is not there yet.
"""

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from indexer.jobs.build import BuildRequest, build

NEURONS, IMAGES, CLASSES = 2048, 10_000, 50
LAYER = "features"
SIZE = (500, 375)


class Wide(nn.Module):
    """A few strided convolutions to 2048 sparse channels of 3 x 4 cells, on input of 96 x 128."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 7, 4, 3), nn.ReLU(), nn.Conv2d(32, 64, 3, 4, 1), nn.ReLU(),
            nn.Conv2d(64, NEURONS, 3, 2, 1), nn.BatchNorm2d(NEURONS), nn.ReLU(),
        )  # fmt: skip
        norm = self.features[5]
        norm.running_var.fill_(0.02)
        nn.init.constant_(norm.bias, -1.0)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.features(pixels)


def network() -> nn.Module:
    """The factory that the index is built with."""
    return Wide()


def photo(number: int) -> Image.Image:
    """Shapes of a class's own colour on a ground of soft blobs."""
    rng = np.random.default_rng(number)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    picture = Image.fromarray(small).resize(SIZE, Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(picture)
    own = np.random.default_rng(number % CLASSES).integers(0, 256, 3)
    for _ in range(6):
        x, y, r = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1]), rng.integers(12, 90)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=tuple(np.clip(own + rng.integers(-30, 30, 3), 0, 255)))
    return picture


def make_index(folder: Path) -> Path:
    """Photographs under ``photos``, the index ``wide`` under ``indexes``; what is there is kept."""
    photos, index = folder / "photos", folder / "indexes" / "wide"
    for number in range(IMAGES):
        path = photos / f"class-{number % CLASSES:02}" / f"{number:05}.jpg"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            photo(number).save(path, quality=85)
    request = BuildRequest(
        images=photos, model="benchmarks.wide_index:network", weights="none", layers=(LAYER,),
        preprocessing={"resize": (96, 128), "crop": None},
    )  # fmt: skip
    build(index, request)
    return index
