"""The life of an index in four jobs, in a process that can be killed at any moment and started again."""

from pathlib import Path

import torch

from indexer.errors import NotAnIndex
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add, build
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from tests.conftest import build_request


def live(index: Path, first: Path, second: Path) -> None:
    """Build from the first list, add the second, remove three images, compact: whatever is not done yet."""
    torch.set_num_threads(1)
    if _generation(index) == 0:
        _build(index, first)
    if _generation(index) == 1:
        add(index, second)
    if _generation(index) == 2:
        remove(index, ids=[0, 5, 10])
    compact(index)


def _generation(index: Path) -> int:
    try:
        return read_manifest(index).generation
    except NotAnIndex:
        return 0


def _build(index: Path, images: Path) -> None:
    changes = {"model": "tests.own_models:small", "layers": ("0", "1"), "preprocessing": {}, "shard_size": 2}
    build(index, build_request(images, **(changes | {"batch_size": 1})))
