"""Packs the maps of an image, see `indexer.shards.maps.packing`. Only those who write need its compiled loops."""

import math
import threading

import numpy as np

from indexer.shards.maps import kernels
from indexer.shards.maps.packing import PackedMaps, row_bytes

_SLACK = 8
"""So many values the compiled loops write at a time, and the last of them may mean nothing."""


class _Scratch(threading.local):
    """Memory of one thread, used again for each image: fresh memory would cost more than the packing itself."""

    def __init__(self) -> None:
        self._arrays: dict[str, np.ndarray] = {}

    def of(self, name: str, *shape: int) -> np.ndarray:
        """An array of this shape, uint16, with any content."""
        size = math.prod(shape)
        if name not in self._arrays or len(self._arrays[name]) < size:
            self._arrays[name] = np.empty(size, np.uint16)
        return self._arrays[name][:size].reshape(shape)


_scratch = _Scratch()


def packed(maps: np.ndarray) -> PackedMaps:
    """Pack the maps (C, H, W) float16 of one image."""
    return _packed(np.ascontiguousarray(maps).view(np.uint16).reshape(len(maps), -1))


def reduced_and_packed(maps: np.ndarray, peaks: np.ndarray, cells: np.ndarray) -> PackedMaps | None:
    """Round and pack the maps of one image, and find their peaks, in one pass over them. Only where `kernels.REDUCES`.

    Parameters
    ----------
    maps : ndarray (H * W, C) float32
    peaks : ndarray (C,) float32
        Filled with each neuron's highest activation.
    cells : ndarray (C,) uint32
        Filled with the first cell of it.

    Returns
    -------
    PackedMaps, or None if an activation is not finite in float16
    """
    count, channels = maps.shape
    present = np.empty((channels, row_bytes(count)), np.uint8)
    strips, counts = _scratch.of("strips", channels, count + _SLACK), np.empty(channels, np.int64)
    if not kernels.reduce(maps, present, strips, counts, peaks, cells):
        return None
    ends = counts.cumsum()
    values = np.empty(ends[-1], np.uint16)
    kernels.gather(strips, counts, values)
    return PackedMaps(present, values, ends, count)


def _packed(bits: np.ndarray) -> PackedMaps:
    channels, cells = bits.shape
    present = np.empty((channels, row_bytes(cells)), np.uint8)
    ends = np.empty(channels, np.int64)
    values = _scratch.of("values", channels * cells + _SLACK)
    count = kernels.pack(bits, present, values, ends)
    return PackedMaps(present, values[:count].copy(), ends, cells)
