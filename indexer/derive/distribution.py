"""Thresholds and percentiles of every neuron, read off an exact histogram."""

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from indexer.errors import InvalidRequest
from indexer.shards.format import as_kept
from indexer.shards.histogram import Histogram, decode, recode

FRACTIONS = {"threshold_5": 0.05, "threshold_1": 0.01, "threshold_0_5": 0.005, "threshold_0_1": 0.001}
"""The thresholds that are kept: for each, the share of a neuron's activations at or above it."""

DEFAULT_FRACTION = 0.005
"""Share of its activations on which a neuron fires by default (Bau et al. 2017, "Network Dissection")."""

_COUNTS = (np.dtype(np.uint32), np.dtype(np.uint64))


@dataclass(frozen=True)
class Distribution:
    """The distribution of each neuron's activations, with every activation counted.

    All neurons of a layer have the same number of activations, images x cells. Entries are those of neuron 0, then
    those of neuron 1, and so on; each neuron has one for each different activation, ascending.

    Attributes
    ----------
    size : int
        Number of activations of one neuron.
    codes : ndarray (M,) uint16
        Activations, recoded as by `indexer.shards.histogram.recode`.
    ends : ndarray (C,) int64
        Where each neuron's entries end, ascending.
    cumulative : ndarray (M,) uint32 or uint64
        How many of its neuron's activations are at or below each entry; uint64 if a neuron has 2^32 or more.
    """

    size: int
    codes: np.ndarray
    ends: np.ndarray
    cumulative: np.ndarray

    @classmethod
    def of(cls, histogram: Histogram) -> "Distribution":
        total = np.cumsum(histogram.counts)
        size = int(total[-1]) // histogram.channels if len(total) else 0
        total -= histogram.neurons * size
        return cls(
            size,
            (histogram.keys & np.uint32(0xFFFF)).astype(np.uint16),
            np.cumsum(np.bincount(histogram.neurons, minlength=histogram.channels)).astype(np.int64),
            total.astype(np.uint32 if size < 1 << 32 else np.uint64),
        )

    @property
    def channels(self) -> int:
        return len(self.ends)

    @property
    def fits(self) -> bool:
        """Whether the arrays fit together, and the last entry of each neuron counts all; those of a file may not."""
        if self.codes.dtype != np.uint16 or self.ends.dtype != np.int64 or self.cumulative.dtype not in _COUNTS:
            return False
        if (self.codes.ndim, self.ends.ndim) != (1, 1) or self.codes.shape != self.cumulative.shape:
            return False
        filled = self._starts < self.ends if self.size else self._starts == self.ends
        if not filled.all() or self.ends[-1:].tolist() != [len(self.codes)]:
            return False
        return not self.size or bool((self.cumulative[self.ends - 1] == self.size).all())

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.concatenate([np.zeros(1, np.int64), self.ends])[:-1]

    def thresholds(self, fraction: float) -> np.ndarray:
        """The k-th largest activation of each neuron, k being ``fraction`` of them rounded down, at least 1.

        Returns
        -------
        ndarray (C,) float32
            Rounded to float16, as activations are kept.
        """
        if not 0 < fraction <= 1:
            raise InvalidRequest(f"fraction must be above 0 and at most 1, not {fraction}")
        rank = max(1, int(fraction * self.size + 1e-6))
        # Of another type, numpy would convert what it reads.
        most = self.cumulative.dtype.type(max(0, self.size - rank))
        return decode(self.codes[self._first_above(most)]).astype(np.float32)

    def below(self, neurons: np.ndarray, values: np.ndarray) -> np.ndarray:
        """How many activations of each of ``neurons`` (K,) are below the value (K,) beside it; (K,) int64."""
        wanted, starts, ends = recode(as_kept(values)), self._starts[neurons], self.ends[neurons]
        if len(neurons) and (neurons == neurons[0]).all():  # one search, as for a page of a neuron's patches
            own = slice(int(starts[0]), int(ends[0]))
            places = own.start + np.searchsorted(self.codes[own], wanted)
        else:
            places = self._not_below(wanted, starts, ends)
        last = np.maximum(places, 1) - 1
        counts: np.ndarray = np.where(places > starts, self.cumulative[last], 0).astype(np.int64)
        return counts

    def _not_below(self, wanted: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """The first entry from each of ``starts`` (K,) whose code is not below the one ``wanted``, or the end.

        A search of its own for each: for the neurons that fire on an image, half the time of halving all at once.
        """
        codes = np.require(self.codes, requirements="A").data  # items of an unaligned array cannot be read
        searches = zip(wanted.tolist(), starts.tolist(), ends.tolist(), strict=True)
        return np.array([bisect_left(codes, code, start, end) for code, start, end in searches], np.int64)

    def _first_above(self, most: np.integer) -> np.ndarray:
        """Each neuron's first entry (C,) with more than ``most`` activations at or below it, or its end.

        All neurons' are found at once, by halving. A neuron has at most 65,536 entries, so 17 rounds do.
        """
        low, high, last = self._starts, self.ends, max(0, len(self.codes) - 1)
        while (low < high).any():
            middle = (low + high) >> 1
            open_, found = low < high, self.cumulative[np.minimum(middle, last)] > most
            low, high = np.where(open_ & ~found, middle + 1, low), np.where(open_ & found, middle, high)
        return low

    def percentiles(self, neurons: np.ndarray, values: np.ndarray) -> np.ndarray:
        """The share, in percent, of each neuron's activations below a value: (K,), (K,) -> (K,) float64."""
        return 100.0 * self.below(neurons, values) / max(self.size, 1)

    def firing_from(self, fraction: float = DEFAULT_FRACTION) -> np.ndarray:
        """The smallest activation (C,) float32 at which each neuron fires: its threshold, if that is positive."""
        smallest = np.float32(np.finfo(np.float16).smallest_subnormal)
        firing: np.ndarray = np.maximum(self.thresholds(fraction), smallest)
        return firing

    def of_neuron(self, neuron: int) -> tuple[np.ndarray, np.ndarray]:
        """The different activations of a neuron, ascending (m,) float32, and how often each occurs (m,) int64."""
        own = slice(int(self._starts[neuron]), int(self.ends[neuron]))
        return decode(self.codes[own]).astype(np.float32), np.diff(self.cumulative[own].astype(np.int64), prepend=0)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (population) of each neuron's activations, (C,) float64 each."""
        values = decode(self.codes).astype(np.float64)
        neurons = np.repeat(np.arange(self.channels), self.ends - self._starts)
        counts = np.diff(self.cumulative.astype(np.int64), prepend=0)
        firsts = np.flatnonzero(np.diff(neurons, prepend=-1))
        counts[firsts] = self.cumulative[firsts]
        total = np.bincount(neurons, values * counts, self.channels)
        mean = total / max(self.size, 1)
        spread = np.bincount(neurons, (values - mean[neurons]) ** 2 * counts, self.channels)
        return mean, np.sqrt(spread / max(self.size, 1))
