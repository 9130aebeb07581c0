"""The maps of an image <-> what a shard keeps of them: a bit for each activation that is not 0, and those activations.

Behind a ReLU most activations are 0. A bit for each tells where, and the bits compress well; the other activations are
stored as they are, so that they are read without decompressing anything.
"""

from dataclasses import dataclass

import numpy as np

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
    def nbytes(self) -> int:
        """What they take in memory; bits and ends take some where every activation is 0."""
        return self.present.nbytes + self.values.nbytes + self.ends.nbytes

    @property
    def dense(self) -> bool:
        return len(self.values) >= _DENSE * len(self.ends) * self.cells


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
