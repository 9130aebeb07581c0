"""The records that a shard holds: one for an image, and one for a layer's activations on a batch of images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.shards.maps.packing import PackedMaps


@dataclass(frozen=True, slots=True)
class IndexedImage:
    """An image as a shard lists it.

    Attributes
    ----------
    size : int
        Bytes of its file.
    data : bytes, optional
        Its file, where the index keeps originals.
    """

    id: int
    path: str
    class_: str | None
    width: int
    height: int
    size: int
    sha256: bytes
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class LayerBatch:
    """What a shard keeps of one layer for a batch of images.

    Attributes
    ----------
    maps : sequence of PackedMaps
        Of each image, float16.
    peaks : ndarray (B, C) float32
        Highest activation of each neuron on each image, before rounding to float16.
    peak_cells : ndarray (B, C) uint32
        The cell of the peak, y * W + x; the first in row order on ties.
    saturated : int
        How many activations were clipped to the range of float16.
    """

    maps: Sequence[PackedMaps]
    peaks: np.ndarray
    peak_cells: np.ndarray
    saturated: int
