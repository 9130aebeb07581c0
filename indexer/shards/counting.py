"""Maps -> their exact histogram, in bounded memory.

1. ``counter = Counter(channels)``
2. ``counter.count(images)`` for packed maps; ``counter.merge(histogram)`` for a histogram that was counted elsewhere.
3. ``histogram = counter.histogram()``

Only activations that are not 0 are counted; the rest of a neuron's cells are zeros. Small maps are sorted, and their
counts are merged now and then. Large maps are counted into a table of all float16: its pages that nothing falls on take
no memory.
"""

from collections.abc import Sequence

import numpy as np

from indexer.shards.histogram import ZERO, Histogram, recode
from indexer.shards.maps.packing import PackedMaps
from indexer.system.sparse_memory import sparse_zeros

_COMPACT_AT = 1 << 22  # entries that wait before they are merged: 50 MB
_WAITING = 1 << 21  # bytes of packed maps that wait before they are counted together, neuron by neuron
_LARGE = 128  # cells from which on a map is counted in a table
_MOST_TABLED = 2048  # neurons of a layer that is counted in a table, which takes up to 128 KiB for each
_CODES = 1 << 16


class Counter:
    """Counts the activations of one layer, batch by batch."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._sparse: list[Histogram] = []
        self._table = np.zeros((0, _CODES), np.uint16)
        self._full: list[np.ndarray] = []  # entries of the table that have passed 65,535, once for each time
        self._zeros = np.zeros(channels, np.int64)
        self._waiting: list[PackedMaps] = []

    def count(self, images: Sequence[PackedMaps]) -> None:
        """Count the maps of some images, at the latest when the histogram is asked for."""
        self._waiting.extend(images)
        if sum(image.nbytes for image in self._waiting) >= _WAITING:
            self._count_waiting()

    def _count_waiting(self) -> None:
        images, self._waiting = self._waiting, []
        if not images:
            return
        values, ends = _joined(images)
        counts = np.diff(ends.reshape(-1), prepend=0).reshape(ends.shape)
        self._zeros += images[0].cells * len(images) - counts.sum(axis=0)
        if images[0].cells >= _LARGE and self.channels <= _MOST_TABLED:
            self._tabulate(values, ends)
        else:
            self.merge(_sorted_and_counted(values, counts))

    def merge(self, other: Histogram) -> None:
        """Add a histogram that was counted elsewhere."""
        self._sparse.append(other)
        # The first part is merged already. If its size counted, a large one would be merged again with every batch.
        if sum(len(part.keys) for part in self._sparse[1:]) >= _COMPACT_AT:
            self._sparse = [Histogram.merge(self._sparse)]

    def histogram(self) -> Histogram:
        """The histogram of everything counted so far."""
        self._count_waiting()
        parts = [part for part in (*self._sparse, self._tabled(), self._passed()) if len(part.keys)]
        self._table = np.zeros((0, _CODES), np.uint16)
        self._full, self._zeros = [], np.zeros(self.channels, np.int64)
        self._sparse = [parts[0] if len(parts) == 1 else Histogram.merge(parts or [Histogram.empty(self.channels)])]
        return self._sparse[0]

    def _tabulate(self, values: np.ndarray, ends: np.ndarray) -> None:
        if not len(self._table):
            self._table = sparse_zeros((self.channels, _CODES), np.uint16)
        from indexer.shards import counting_kernels  # here, because reading derived files does not need it

        full = np.empty(len(values), np.uint32)  # each may be the one that makes its entry full
        passed = counting_kernels.count(values, ends, self._table, full)
        if passed:
            self._full.append(full[:passed].copy())

    def _tabled(self) -> Histogram:
        """The histogram of the table, and of all zeros."""
        if not len(self._table):
            neurons = np.flatnonzero(self._zeros)
            return Histogram(self.channels, (neurons << 16 | ZERO).astype(np.uint32), self._zeros[neurons])
        from indexer.shards import counting_kernels

        most = np.count_nonzero(self._table) + self.channels
        keys, counts = np.empty(most, np.uint32), np.empty(most, np.int64)
        found = counting_kernels.entries(self._table, self._zeros, keys, counts)
        return Histogram(self.channels, keys[:found], counts[:found])

    def _passed(self) -> Histogram:
        """The histogram of what the table's entries lack because they have passed 65,535."""
        bits, times = np.unique(np.concatenate([np.empty(0, np.uint32), *self._full]), return_counts=True)
        keys = (bits & np.uint32(0xFFFF0000)) | recode((bits & np.uint32(0xFFFF)).astype(np.uint16).view(np.float16))
        order = np.argsort(keys)
        return Histogram.merge([Histogram(self.channels, keys[order], times[order].astype(np.int64) << 16)])


def _joined(images: Sequence[PackedMaps]) -> tuple[np.ndarray, np.ndarray]:
    """The values (V,) of several images behind each other, and where those of each image and neuron end (B, C)."""
    firsts = np.cumsum([0, *(len(image.values) for image in images[:-1])])
    ends = np.stack([image.ends for image in images]) + firsts[:, None]
    return np.concatenate([image.values for image in images]), ends


def _sorted_and_counted(values: np.ndarray, counts: np.ndarray) -> Histogram:
    """The histogram of activations that are not 0, of which there are ``counts`` (B, C)."""
    images, channels = counts.shape
    firsts = np.arange(channels, dtype=np.uint32) << np.uint32(16)
    neurons = np.repeat(np.tile(firsts, images), counts.reshape(-1))
    keys, times = np.unique(neurons | recode(values.view(np.float16)), return_counts=True)
    return Histogram(channels, keys, times.astype(np.int64))
