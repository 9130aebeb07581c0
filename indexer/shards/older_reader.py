"""Shards of format 2, which ``upgrade`` rewrites: their maps were a dataset (n, C, H, W) that Zstandard compressed."""

import hdf5plugin  # noqa: F401 - registers the filter
import numpy as np

from indexer.errors import DamagedFile
from indexer.index import hdf5
from indexer.shards.reader import Shard
from indexer.shards.stored_layer import READ_ERRORS


class OlderShard(Shard):
    """An open shard of format 2, as far as rewriting it needs."""

    VERSION = 2

    def maps(self, layer: str, row: int) -> np.ndarray:
        with self._lock:
            try:
                kept: np.ndarray = hdf5.own_dataset(self._h5, f"layers/{layer}/maps")[row]
            except READ_ERRORS as error:
                raise DamagedFile(self.name, f"the maps of row {row} cannot be read ({error})") from error
        return kept

    def saturated(self, layer: str) -> int:
        with self._lock:
            return int(hdf5.get_attribute(self._h5[f"layers/{layer}/maps"], "saturated") or 0)
