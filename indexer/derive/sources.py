"""The sources of a generation, shards and the image table, in a form that can be sent to the workers."""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from indexer.derive import image_table
from indexer.index import hdf5, layout
from indexer.index.configuration import Configuration
from indexer.index.manifest import Manifest
from indexer.index.shard_info import ShardInfo
from indexer.shards.listed import open_listed, shards_at_once
from indexer.shards.pool import ShardPool
from indexer.shards.reader import Shard
from indexer.store.storage import Location, storage_at


@dataclass(frozen=True)
class Sources:
    """The paths of the sources of a generation; ``table`` is the image table of the new generation."""

    index: Location
    configuration: Configuration
    shards: tuple[ShardInfo, ...]
    table: Location


class Opened:
    """Open sources.

    Attributes
    ----------
    shards : ShardPool
    classes : ndarray (N,) int32
        Class of each image of the table, -1 for none.
    """

    def __init__(self, sources: Sources) -> None:
        self.shards = open_shards(sources.index, sources)
        table = hdf5.map_arrays(sources.table, layout.IMAGES, image_table.KIND, image_table.VERSION)
        self.classes, self._shard, self._row = table["class"], table["shard"], table["row"]

    @property
    def images(self) -> int:
        return len(self._row)

    def live(self, first: int, end: int) -> Iterator[tuple[Shard, np.ndarray, int]]:
        """Shards ``first`` to ``end``, each with its rows (n,) that are not removed, and the first one's table row."""
        starts = np.searchsorted(self._shard, np.arange(first, end + 1)).tolist()
        for number, start, stop in zip(range(first, end), starts, starts[1:], strict=False):
            yield self.shards[number], self._row[start:stop], start

    def maps(self, layer: str, image: int) -> np.ndarray:
        """All maps (C, H, W) float16 of a layer on one image of the table."""
        return self.shards[int(self._shard[image])].maps(layer, int(self._row[image]))


@functools.lru_cache(maxsize=1)
def opened(sources: Sources) -> Opened:
    """The open sources. They stay open until other sources are asked for."""
    return Opened(sources)


@contextmanager
def closing_opened() -> Iterator[None]:
    """Let go of the sources that `opened` keeps open when the context ends."""
    try:
        yield
    finally:
        opened.cache_clear()


def open_shards(index: Location, listed: Manifest | Sources) -> ShardPool:
    """The listed shards, each opened when it is asked for. Remote shards are opened as local copies.

    Asking for a shard raises DamagedFile if it is missing, foreign, or of another configuration.
    """

    configuration = listed.configuration.digest
    return ShardPool(
        lambda number: open_listed(
            listed.shards[number], lambda file: storage_at(index / file).local_file(file), configuration
        ),
        len(listed.shards),
        shards_at_once(listed.shards),
    )
