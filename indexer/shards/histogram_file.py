"""Histograms in a shard: a bit for each float16 that a neuron took, and how often it took it."""

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np

from indexer.index import hdf5
from indexer.shards.format import ZSTD
from indexer.shards.histogram import Histogram
from indexer.shards.maps.codec import compressed, shuffled_and_compressed

_CODES = 1 << 16
_WIDTH = _CODES // 8
_NEURONS = 16
"""Neurons in a chunk of bits: 128 KiB."""
_NUMBERS = 1 << 16
"""Counts in a chunk."""


def write_histogram(group: h5py.Group, histogram: Histogram, workers: ThreadPoolExecutor) -> None:
    """Write a histogram into its group; see `indexer.shards.format`."""
    present = group.create_dataset(
        "present", (histogram.channels, _WIDTH), np.uint8, maxshape=(None, _WIDTH), chunks=(_NEURONS, _WIDTH),
        **ZSTD,
    )  # fmt: skip
    firsts = range(0, histogram.channels, _NEURONS)
    for first, data in zip(firsts, workers.map(lambda first: _bits(histogram, first), firsts), strict=True):
        present.id.write_direct_chunk((first, 0), data)
    counts = group.create_dataset(
        "counts", (len(histogram.counts),), np.int64, maxshape=(None,), chunks=(_NUMBERS,), shuffle=True,
        **ZSTD,
    )  # fmt: skip
    starts = range(0, len(histogram.counts), _NUMBERS)
    parts = [histogram.counts[start : start + _NUMBERS] for start in starts]
    chunks = workers.map(shuffled_and_compressed, parts, [_NUMBERS] * len(parts))
    for start, data in zip(starts, chunks, strict=True):
        counts.id.write_direct_chunk((start,), data)


def _bits(histogram: Histogram, first: int) -> bytes:
    """The chunk of bits of the neurons from ``first`` on."""
    begin, end = np.searchsorted(histogram.keys, [first << 16, min(first + _NEURONS, histogram.channels) << 16])
    there = np.zeros(_NEURONS * _CODES, bool)
    there[histogram.keys[begin:end] - np.uint32(first << 16)] = True
    return compressed(np.packbits(there, bitorder="little"))


def _set_bits(packed: np.ndarray) -> np.ndarray:
    """The numbers of the bits that are set, ascending: uint8 -> uint32. Only words with bits are unpacked."""
    words = np.ascontiguousarray(packed).reshape(-1).view(np.uint64)
    filled = np.flatnonzero(words)
    bits = np.flatnonzero(np.unpackbits(words[filled].view(np.uint8), bitorder="little"))
    numbers: np.ndarray = (filled[bits >> 6] << 6 | bits & 63).astype(np.uint32)
    return numbers


def read_histogram(group: h5py.Group, channels: int) -> Histogram:
    """The histogram of a group that `write_histogram` wrote.

    Raises
    ------
    KeyError, OSError, RuntimeError, TypeError, ValueError
        The datasets are missing or damaged.
    """
    present, counts = (hdf5.own_dataset(group, name) for name in ("present", "counts"))
    if present.shape != (channels, _WIDTH) or present.dtype != np.uint8:
        raise ValueError(f"bits of shape {present.shape}, not {(channels, _WIDTH)}")
    keys = [np.empty(0, np.uint32)]
    for first in range(0, channels, _NEURONS):
        keys.append(_set_bits(present[first : first + _NEURONS]) + np.uint32(first << 16))
    numbers = hdf5.read_all(counts)
    found = np.concatenate(keys)
    if numbers.shape != found.shape or numbers.dtype.kind not in "iu":
        raise ValueError("other counts than values")
    return Histogram(channels, found, numbers.astype(np.int64))
