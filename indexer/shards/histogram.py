"""Exact histograms of activations, one per neuron, that merge over shards.

Activations are kept as float16, so a neuron has at most 65,536 different ones. Counting each of them is exact, and the
histogram stays small. A key holds the neuron in its upper 16 bits and the float16 in its lower 16. The float16 is
recoded so that keys sort as values do.

1. `indexer.shards.counting.Counter` makes them from maps and merges them over shards.
2. ``a.subtract(b)`` takes removed images out.
3. `indexer.derive.distribution.Distribution` reads thresholds and percentiles off one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

ZERO: Final = 0x8000
"""The code of 0."""
_TABLED = 1 << 12  # from so many entries a neuron on, a table is faster than sorting


def recode(half: np.ndarray) -> np.ndarray:
    """float16 -> uint16 that sorts as the values do; -0 counts as 0. Not for NaN."""
    bits = np.ascontiguousarray(half, np.float16).view(np.uint16)
    if bits.max(initial=0) < 0x8000:  # nothing negative, as behind a ReLU
        return bits | np.uint16(0x8000)
    mask = (bits >> 15) * np.uint16(0x7FFF) | np.uint16(0x8000)
    codes = bits ^ mask
    codes[codes == 0x7FFF] = 0x8000
    return codes


def decode(codes: np.ndarray) -> np.ndarray:
    """The inverse of `recode`: uint16 -> float16."""
    codes = codes.astype(np.uint16)
    return (codes ^ np.where(codes >> 15, np.uint16(0x8000), np.uint16(0xFFFF))).view(np.float16)


def keys_of(neurons: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Keys (uint32) of activations of neurons, elementwise."""
    keys: np.ndarray = (neurons.astype(np.uint32) << np.uint32(16)) | recode(half)
    return keys


@dataclass(frozen=True)
class Histogram:
    """How often each neuron took each value.

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
    def empty(cls, channels: int) -> "Histogram":
        return cls(channels, np.empty(0, np.uint32), np.empty(0, np.int64))

    @classmethod
    def merge(cls, histograms: Sequence["Histogram"]) -> "Histogram":
        """The histogram of all the activations together."""
        channels = histograms[0].channels
        for histogram in histograms:
            histograms[0]._check(histogram)
        entries = sum(len(histogram.keys) for histogram in histograms)
        merged = _summed_in_tables if entries >= _TABLED * channels else _summed_in_order
        return cls(channels, *merged(histograms))

    def subtract(self, other: "Histogram") -> "Histogram":
        """The histogram without the activations of ``other``, all of which it must contain."""
        if not len(other.keys):
            return self
        left = Histogram.merge([self, Histogram(other.channels, other.keys, -other.counts)])
        kept = left.counts != 0  # merging by sorting keeps entries whose counts add up to 0
        return Histogram(self.channels, left.keys[kept], left.counts[kept])

    def _check(self, other: "Histogram") -> None:
        if self.channels != other.channels:
            raise ValueError(f"a histogram of {self.channels} neurons cannot be merged with one of {other.channels}")

    @property
    def neurons(self) -> np.ndarray:
        """The neuron of each key, (M,) int64."""
        return (self.keys >> np.uint32(16)).astype(np.int64)

    @property
    def values(self) -> np.ndarray:
        """The value of each key, (M,) float32."""
        return decode(self.keys & np.uint32(0xFFFF)).astype(np.float32)


def _summed_in_order(histograms: Sequence[Histogram]) -> tuple[np.ndarray, np.ndarray]:
    keys = np.concatenate([histogram.keys for histogram in histograms])
    counts = np.concatenate([histogram.counts for histogram in histograms])
    order = np.argsort(keys, kind="stable")  # linear for runs that are sorted already
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.diff(keys, prepend=~keys[:1]))
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


def _summed_in_tables(histograms: Sequence[Histogram]) -> tuple[np.ndarray, np.ndarray]:
    """Sum each neuron's counts in a table of all codes from its lowest to its highest: no sorting, little memory."""
    starts = np.arange(histograms[0].channels + 1, dtype=np.int64) << 16
    ends = [np.searchsorted(histogram.keys, starts).tolist() for histogram in histograms]
    keys, counts = [np.empty(0, np.uint32)], [np.empty(0, np.int64)]
    for neuron in range(histograms[0].channels):
        entries = [slice(*end[neuron : neuron + 2]) for end in ends]
        parts = [(h.keys[own], h.counts[own]) for h, own in zip(histograms, entries, strict=True)]
        parts = [(own_keys, own_counts) for own_keys, own_counts in parts if len(own_keys)]
        if not parts:
            continue
        low, high = min(int(own_keys[0]) for own_keys, _ in parts), max(int(own_keys[-1]) for own_keys, _ in parts)
        table = np.zeros(high - low + 1, np.int64)
        for own_keys, own_counts in parts:
            table[own_keys - np.uint32(low)] += own_counts
        filled = np.flatnonzero(table)
        keys.append((filled + low).astype(np.uint32))
        counts.append(table[filled])
    return np.concatenate(keys), np.concatenate(counts)
