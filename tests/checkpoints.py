"""Two checkpoints of one network, the later with its neurons in another order: who is whose counterpart is known."""

from pathlib import Path
from typing import Final

import torch

from indexer.jobs.build import build
from tests.conftest import build_request, write_photos
from tests.own_models import shuffled

LAYER: Final = "1"
ORDER: Final = (3, 0, 6, 1, 7, 2, 5, 4)
"""Neuron i of the later checkpoint is neuron ORDER[i] of the earlier one."""
LAST: Final = ORDER.index(7)
"""The neuron of the later checkpoint that has learned something else meanwhile."""


def build_checkpoints(folder: Path) -> tuple[Path, Path]:
    """Indexes ``early`` and ``late``, in a folder of their own."""
    photos = write_photos(folder / "photos", seed=11, count=24)
    torch.manual_seed(4)
    model, _ = shuffled()
    state = model.state_dict()
    late = {name: value[list(ORDER)] for name, value in state.items()}
    late["0.weight"] = late["0.weight"] + 0.003 * torch.randn_like(late["0.weight"])
    late["0.weight"][LAST] = -late["0.weight"][LAST]
    late["0.bias"] = late["0.bias"] + 0.5
    return _built(folder, "early", photos, state), _built(folder, "late", photos, late)


def _built(folder: Path, name: str, photos: Path, state: dict[str, torch.Tensor]) -> Path:
    torch.save(state, folder / f"{name}.pth")
    changes = {"model": "tests.own_models:shuffled", "weights": str(folder / f"{name}.pth")}
    build(folder / "indexes" / name, build_request(photos, layers=(LAYER,), preprocessing={}, **changes))
    return folder / "indexes" / name
