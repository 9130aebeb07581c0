"""The maps of an image <-> what a shard keeps of them: a bit for each activation that is not 0, and those activations.

Behind a ReLU most activations are 0. A bit for each tells where, and the bits compress well; the other activations are
stored as they are, so that they are read without decompressing anything.
"""

import math
import threading
from dataclasses import dataclass

import numpy as np

from indexer.shards import kernels

_DENSE = 0.75
"""From this share of activations that are not 0 on, they are compressed too: bits alone save nothing."""


@dataclass(frozen=True, slots=True)
class PackedMaps:
    """The maps of one image, packed.

    Attributes
    ----------
    present : ndarray (C, ceil(H * W / 8)) uint8
        A bit for each cell in row order, the lowest first: 1 where the bits of the activation's float16 are not all 0.
        (So -0, whose first bit is 1, comes back as it was.)
    values : ndarray (V,) uint16
        The bits of those activations, by neuron and cell.
    ends : ndarray (C,) int64
        Where each neuron's values end.
    cells : int
        H * W.
    """

    present: np.ndarray
    values: np.ndarray
    ends: np.ndarray
    cells: int

    @property
    def halves(self) -> np.ndarray:
        """The maps again, (C, H * W) float16."""
        return unpacked(self.present, self.values.view(np.float16), self.cells)

    @property
    def dense(self) -> bool:
        return len(self.values) >= _DENSE * len(self.ends) * self.cells


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
    halves = _scratch.of("halves", *maps.shape[::-1])
    return _packed(halves) if kernels.reduce(maps, halves, peaks, cells) else None


def _packed(bits: np.ndarray) -> PackedMaps:
    channels, cells = bits.shape
    present = np.empty((channels, row_bytes(cells)), np.uint8)
    ends = np.empty(channels, np.int64)
    values = _scratch.of("values", channels * cells + 1)
    count = kernels.pack(bits, present, values, ends)
    return PackedMaps(present, values[:count].copy(), ends, cells)


def row_bytes(cells: int) -> int:
    """Bytes of the presence bits of one neuron."""
    return -(-cells // 8)


def unpacked(present: np.ndarray, values: np.ndarray, cells: int) -> np.ndarray:
    """The maps (c, cells) float16 of some neurons.

    Parameters
    ----------
    present : ndarray (c, ceil(cells / 8)) uint8
    values : ndarray (V,) float16
        The values of these neurons.

    Raises
    ------
    ValueError
        There are more or fewer values than bits.
    """
    there = np.unpackbits(present, axis=1, count=cells, bitorder="little").view(bool)
    if np.count_nonzero(there) != len(values):
        raise ValueError(f"{np.count_nonzero(there)} activations are not zero, {len(values)} are there")
    maps = np.zeros(there.shape, np.float16)
    maps.view(np.uint16)[there] = values.view(np.uint16)
    return maps
