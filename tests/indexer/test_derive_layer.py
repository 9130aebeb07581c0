"""Deriving a layer: one pass over the shards, in blocks of neurons."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from indexer.derive import layer as module
from indexer.derive.generation import open_shards
from indexer.derive.images import write_image_table
from indexer.derive.layer import write_layer
from indexer.shards.reader import Shard
from indexer.store.manifest import read_manifest

LAYER = "features.7"


def derive(index: Path, out: Path, removed: set[int]) -> bytes:
    manifest = read_manifest(index)
    with open_shards(index, manifest) as shards:
        live = write_image_table(out / "images.h5", shards, removed)
        info = next(info for info in manifest.configuration.layers if info.name == LAYER)
        classes = np.arange(live[-1].end, dtype=np.int32) % 3
        write_layer(out / "layer.h5", info, shards, live, classes)
    return (out / "layer.h5").read_bytes()


@pytest.mark.parametrize("removed", [set(), {1, 17, 18, 39}])
def test_each_shard_is_read_once_and_blocks_do_not_matter(
    small_index: Path, tmp_path: Path, removed: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[tuple[str, str]] = Counter()
    for name in ("peaks", "histogram", "maps"):
        read = getattr(Shard, name)

        def counting(self: Shard, *arguments: object, read=read, name=name) -> object:
            reads[name, self.name, *arguments] += 1
            return read(self, *arguments)

        monkeypatch.setattr(Shard, name, counting)
    whole = derive(small_index, tmp_path, removed)
    assert len(reads) == 2 * 3 + len(removed), "peaks and histogram of three shards, maps of what is removed"
    assert set(reads.values()) == {1}
    monkeypatch.setattr(module, "_BLOCK_BYTES", 3 * 4 * 40)
    assert derive(small_index, tmp_path, removed) == whole
