"""Thresholds and percentiles of every neuron, read off an exact histogram."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from indexer.errors import InvalidRequest
from indexer.shards.format import as_kept
from indexer.shards.histogram import Histogram, decode, keys_of

FRACTIONS = {"threshold_5": 0.05, "threshold_1": 0.01, "threshold_0_5": 0.005, "threshold_0_1": 0.001}
"""The thresholds that are kept: for each, the share of a neuron's activations at or above it."""

DEFAULT_FRACTION = 0.005
"""Share of its activations on which a neuron fires by default (Bau et al. 2017, "Network Dissection")."""


@dataclass(frozen=True)
class Distribution:
    """The distribution of each neuron's activations, with every activation counted.

    All neurons of a layer have the same number of activations, images x cells. So one running sum over the sorted keys
    of all neurons is enough: a single binary search in it answers a question about any neuron.

    Attributes
    ----------
    channels : int
    size : int
        Number of activations of one neuron.
    keys : ndarray (M,) uint32
        As in `indexer.shards.histogram.Histogram`.
    cumulative : ndarray (M,) int64
        Running sum of the counts over all keys.
    """

    channels: int
    size: int
    keys: np.ndarray
    cumulative: np.ndarray

    @classmethod
    def of(cls, histogram: Histogram) -> "Distribution":
        cumulative = np.cumsum(histogram.counts)
        size = int(cumulative[-1]) // histogram.channels if len(cumulative) else 0
        return cls(histogram.channels, size, histogram.keys, cumulative)

    @cached_property
    def _bases(self) -> np.ndarray:
        return np.arange(self.channels, dtype=np.int64) * self.size

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
        position = np.searchsorted(self.cumulative, self._bases + self.size - rank, side="right")
        return decode(self.keys[position] & np.uint32(0xFFFF)).astype(np.float32)

    def below(self, neurons: np.ndarray, values: np.ndarray) -> np.ndarray:
        """How many activations of each of ``neurons`` (K,) are below the value (K,) beside it; (K,) int64."""
        half = as_kept(values)
        position = np.searchsorted(self.keys, keys_of(neurons, half), side="left")
        total = np.where(position > 0, self.cumulative[np.maximum(position, 1) - 1], 0)
        counts: np.ndarray = total - self._bases[neurons]
        return counts

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
        # A number of another type would make numpy convert all keys to it.
        first = np.searchsorted(self.keys, np.uint32(neuron << 16), side="left")
        end = np.searchsorted(self.keys, np.uint32(neuron << 16 | 0xFFFF), side="right")
        counts = np.diff(self.cumulative[first:end], prepend=self._bases[neuron])
        return decode(self.keys[first:end] & np.uint32(0xFFFF)).astype(np.float32), counts

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (population) of each neuron's activations, (C,) float64 each."""
        values = decode(self.keys & np.uint32(0xFFFF)).astype(np.float64)
        counts = np.diff(self.cumulative, prepend=0)
        neurons = (self.keys >> np.uint32(16)).astype(np.int64)
        total = np.bincount(neurons, values * counts, self.channels)
        mean = total / max(self.size, 1)
        spread = np.bincount(neurons, (values - mean[neurons]) ** 2 * counts, self.channels)
        return mean, np.sqrt(spread / max(self.size, 1))
