"""Exact histograms of activations, one per neuron, that merge over shards.

Activations are kept as float16, so a neuron has at most 65,536 different ones; counting each of them is exact and
stays small. A key is the neuron in the upper 16 bits and the float16, recoded so that keys sort as values do, in the
lower 16.

1. ``counter = Counter(channels)``; ``counter.add(maps)`` for each batch; ``histogram = counter.histogram()``.
2. ``Histogram.merge([...])`` over shards; ``a.subtract(b)`` for images that are removed.
3. ``histogram.cumulative()`` is what thresholds and percentiles are read from, see `indexer.query.distribution`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

_COMPACT_AT = 1 << 22  # keys buffered before they are sorted and counted: 16 MB


def recode(half: np.ndarray) -> np.ndarray:
    """float16 -> uint16 that sorts as the values do; -0 counts as 0. Not for NaN."""
    bits = (half + np.float16(0)).view(np.uint16)
    return bits ^ np.where(bits >> 15, np.uint16(0xFFFF), np.uint16(0x8000))


def decode(codes: np.ndarray) -> np.ndarray:
    """The inverse of `recode`: uint16 -> float16."""
    codes = codes.astype(np.uint16)
    return (codes ^ np.where(codes >> 15, np.uint16(0x8000), np.uint16(0xFFFF))).view(np.float16)


def keys_of(neurons: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Keys (uint32) of activations of neurons, elementwise."""
    return (neurons.astype(np.uint32) << np.uint32(16)) | recode(half)


@dataclass(frozen=True)
class Histogram:
    """How often each neuron had each value.

    Attributes
    ----------
    channels : int
    keys : ndarray (M,) uint32
        Ascending, each once.
    counts : ndarray (M,) int64
        Positive.
    """

    channels: int
    keys: np.ndarray
    counts: np.ndarray

    @classmethod
    def merge(cls, histograms: Iterable["Histogram"]) -> "Histogram":
        """The histogram of all the activations together."""
        merged: Histogram | None = None
        for histogram in histograms:
            merged = histogram if merged is None else merged._plus(histogram, 1)
        if merged is None:
            raise ValueError("nothing to merge")
        return merged

    def subtract(self, other: "Histogram") -> "Histogram":
        """Without the activations of ``other``, which must be among these."""
        return self._plus(other, -1)

    def _plus(self, other: "Histogram", sign: int) -> "Histogram":
        if self.channels != other.channels:
            raise ValueError(f"a histogram of {self.channels} neurons cannot meet one of {other.channels}")
        keys, counts = _sum_by_key(
            np.concatenate([self.keys, other.keys]), np.concatenate([self.counts, sign * other.counts])
        )
        kept = counts != 0
        return Histogram(self.channels, keys[kept], counts[kept])

    @property
    def neurons(self) -> np.ndarray:
        """The neuron of each key, (M,) int64."""
        return (self.keys >> np.uint32(16)).astype(np.int64)

    @property
    def values(self) -> np.ndarray:
        """The value of each key, (M,) float32."""
        return decode(self.keys & np.uint32(0xFFFF)).astype(np.float32)


class Counter:
    """Counts the activations of one layer, batch by batch, in bounded memory."""

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._buffer: list[np.ndarray] = []
        self._buffered = 0
        self._counted: Histogram | None = None
        self._zeros = np.zeros(channels, np.int64)

    def add(self, maps: np.ndarray) -> None:
        """Count maps (B, C, H, W) float16 without NaN."""
        batch, channels = maps.shape[:2]
        flat = maps.reshape(batch * channels, -1)
        nonzero = flat != 0
        counts = nonzero.sum(axis=1)
        self._zeros += (flat.shape[1] - counts).reshape(batch, channels).sum(axis=0)
        neurons = np.repeat(np.tile(np.arange(channels, dtype=np.uint32), batch), counts)
        self._buffer.append(keys_of(neurons, flat[nonzero]))
        self._buffered += len(neurons)
        if self._buffered >= _COMPACT_AT:
            self._compact()

    def _compact(self) -> None:
        keys = np.concatenate([*self._buffer, np.empty(0, np.uint32)])
        found, counts = np.unique(keys, return_counts=True)
        fresh = Histogram(self.channels, found, counts.astype(np.int64))
        self._counted = fresh if self._counted is None else Histogram.merge([self._counted, fresh])
        self._buffer, self._buffered = [], 0

    def histogram(self) -> Histogram:
        """All that was counted so far."""
        self._compact()
        assert self._counted is not None
        some = np.flatnonzero(self._zeros)
        zeros = Histogram(self.channels, keys_of(some, np.zeros(len(some), np.float16)), self._zeros[some])
        return Histogram.merge([self._counted, zeros])


def _sum_by_key(keys: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")  # linear for two runs that are sorted already
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[first], np.add.reduceat(counts, first)
