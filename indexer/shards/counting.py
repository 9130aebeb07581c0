"""Maps -> their exact histogram, in bounded memory.

1. ``counter = Counter(channels)``
2. ``counter.add(maps)`` for each batch; ``counter.merge(histogram)`` for a histogram that was counted elsewhere.
3. ``histogram = counter.histogram()``

Small maps are sorted (for 16 bits a radix sort), and their counts are merged now and then. Large maps are gathered by
neuron and counted into a table of all codes between the lowest and the highest. That is three times as fast for a
neuron with many different values, and slower for one with few.
"""

import numpy as np

from indexer.shards.histogram import Histogram, recode

_COMPACT_AT = 1 << 22  # entries that wait before they are merged: 50 MB
_LARGE = 128  # cells from which on a map is counted in a table
_GATHERED = 1 << 24  # bytes of large maps that wait to be counted together
_MOST = 1 << 32  # a table's counts stay below it
_STEP = 1 << 12  # the table's ends are multiples of it, so that it seldom grows


class Counter:
    """Counts the activations of one layer, batch by batch."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._sparse: list[Histogram] = []
        self._gathered = np.empty((channels, 0, 0), np.int16)  # bits of float16, by neuron, image and cell
        self._images = 0  # images gathered so far
        self._low = 1 << 16
        self._table = np.zeros((channels, 0), np.uint32)  # how often each neuron had each code from _low
        self._tabled = 0

    def add(self, maps: np.ndarray) -> None:
        """Count maps (B, C, H, W) float16 without NaN."""
        cells = maps.shape[2] * maps.shape[3]
        if cells < _LARGE:
            self.merge(_sorted_and_counted(recode(maps)))
            return
        if not self._gathered.size:
            room = max(1, _GATHERED // (2 * self.channels * cells))
            self._gathered = np.empty((self.channels, room, cells), np.int16)
        bits = np.ascontiguousarray(maps).view(np.int16).reshape(len(maps), self.channels, cells).transpose(1, 0, 2)
        while bits.shape[1]:
            part = bits[:, : self._gathered.shape[1] - self._images]
            self._gathered[:, self._images : self._images + part.shape[1]] = part
            self._images += part.shape[1]
            bits = bits[:, part.shape[1] :]
            if self._images == self._gathered.shape[1]:
                self._tabulate()

    def merge(self, other: Histogram) -> None:
        """Add a histogram that was counted elsewhere."""
        self._sparse.append(other)
        # The first part is merged already. If its size counted, a large one would be merged again with every batch.
        if sum(len(part.keys) for part in self._sparse[1:]) >= _COMPACT_AT:
            self._sparse = [Histogram.merge(self._sparse)]

    def histogram(self) -> Histogram:
        """The histogram of everything counted so far."""
        self._tabulate()
        self._gathered = np.empty((self.channels, 0, 0), np.int16)
        self._empty_table()
        if len(self._sparse) != 1:
            self._sparse = [Histogram.merge(self._sparse or [Histogram.empty(self.channels)])]
        return self._sparse[0]

    def _tabulate(self) -> None:
        cells = self._images * self._gathered.shape[2]
        if self._tabled + cells >= _MOST:
            self._empty_table()
        self._tabled += cells
        for neuron, bits in enumerate(self._gathered[:, : self._images] if cells else ()):
            low, counts = _counted(bits.ravel())
            self._widen(low, low + len(counts))
            self._table[neuron, low - self._low :][: len(counts)] += counts.astype(np.uint32)
        self._images = 0

    def _widen(self, low: int, end: int) -> None:
        width = self._table.shape[1]
        if width and self._low <= low and end <= self._low + width:
            return
        new_low = min(low, self._low) // _STEP * _STEP
        new_end = -(-max(end, self._low + width if width else 0) // _STEP) * _STEP
        table = np.zeros((self.channels, new_end - new_low), np.uint32)
        if width:
            table[:, self._low - new_low :][:, :width] = self._table
        self._low, self._table = new_low, table

    def _empty_table(self) -> None:
        if self._tabled:  # row by row: large temporary arrays would come from the system as fresh, slow pages
            ends = np.cumsum([np.count_nonzero(row) for row in self._table]).tolist()
            keys, counts = np.empty(ends[-1], np.uint32), np.empty(ends[-1], np.int64)
            for neuron, (row, start, end) in enumerate(zip(self._table, [0, *ends], ends, strict=False)):
                codes = np.flatnonzero(row != 0)
                keys[start:end] = codes + ((neuron << 16) + self._low)
                counts[start:end] = row[codes]
            self.merge(Histogram(self.channels, keys, counts))
        self._low, self._table, self._tabled = 1 << 16, np.zeros((self.channels, 0), np.uint32), 0


def _counted(bits: np.ndarray) -> tuple[int, np.ndarray]:
    """Count the codes of float16 values whose bits (n,) int16 are given.

    Returns the lowest code, and how often it and each code after it occurs.
    """
    import torch  # here, because reading a shard does not need it

    # torch's bincount, because numpy's holds the interpreter's lock and keeps other threads waiting
    if bits.min() >= 0:  # nothing negative, as behind a ReLU: a code is then the bits with the first one set
        return 0x8000, torch.bincount(torch.from_numpy(bits)).numpy()
    codes = recode(bits.view(np.float16))
    low = int(codes.min())
    return low, torch.bincount(torch.from_numpy((codes - np.uint16(low)).astype(np.int32))).numpy()


def _sorted_and_counted(codes: np.ndarray) -> Histogram:
    """The histogram of codes (B, C, H, W)."""
    channels = codes.shape[1]
    codes = np.ascontiguousarray(codes.transpose(1, 0, 2, 3)).reshape(channels, -1)
    codes.sort(axis=1, kind="stable")
    starts = np.ones(codes.shape, bool)
    np.not_equal(codes[:, 1:], codes[:, :-1], out=starts[:, 1:])
    first = np.flatnonzero(starts)
    keys = ((first // codes.shape[1]).astype(np.uint32) << np.uint32(16)) | codes.ravel()[first]
    return Histogram(channels, keys, np.diff(first, append=codes.size))
