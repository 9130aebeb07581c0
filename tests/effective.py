"""A small index with effective receptive fields of one layer."""

from pathlib import Path

import torch
from torch import nn

from indexer.cli import main
from indexer.jobs.build import build
from tests.conftest import build_request, write_photos
from tests.own_models import PREPROCESSING

LAYER, OTHER = "1", "0"
"""The layer that has effective fields, and one that has none."""
NEURON = 3
MODEL = "tests.effective:centred"
SETTINGS = {"model": MODEL, "weights": "none", "preprocessing": {}, "layers": (OTHER, LAYER)}


def centred() -> tuple[nn.Module, dict]:
    """Fields of 7 x 9 pixels, whose middle 3 x 3 count a hundred times as much; "1" is the ReLU of "0"."""
    model = nn.Sequential(
        nn.Conv2d(3, 6, (7, 9), stride=2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(6, 4, 3),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    )  # fmt: skip
    with torch.no_grad():
        model[0].weight[:, :, 2:5, 3:6] *= 100
        model[0].bias[:] = 5
    return model, PREPROCESSING


def build_effective(folder: Path) -> Path:
    """Build ``folder/index`` of ``folder/photos``; its fields are sampled on 5 images with the seed 2."""
    photos = write_photos(folder / "photos", seed=3, count=8)
    index = folder / "index"
    build(index, build_request(photos, **SETTINGS))
    assert main(["effective-field", str(index), "--layer", LAYER, "--sample", "5", "--seed", "2"]) == 0
    return index
