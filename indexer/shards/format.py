"""The format of a shard, shared by its writer and its reader.

::

    attributes: format, version, configuration (digest), number, first_id, end_id
    images/id (n,) int64; images/path, images/class (n,) UTF-8, "" for no class; images/width, images/height (n,) int32;
    images/bytes (n,) int64; images/sha256 (n, 32) uint8
    skipped/path, skipped/reason (m,) UTF-8
    originals/data uint8, originals/end (n,) int64            only with keep_images
    layers/LAYER                                 attributes height, width, saturated: values clipped to +-65504
    layers/LAYER/present (n, C, ceil(H*W/8)) uint8, Zstandard
        a bit for each cell in row order, the lowest first: 1 where the bits of the activation's float16 are not all 0
    layers/LAYER/values (V,) float16             these activations, by image, neuron and cell; see below
    layers/LAYER/ends (n,) int64                 where the values of each image end
    layers/LAYER/peaks (C, n) float32, layers/LAYER/peak_cells (C, n) uint32
    layers/LAYER/histogram/present (C, 8192) uint8, Zstandard
        a bit for each float16 in ascending order (`indexer.shards.histogram.recode`): 1 where the neuron took it
    layers/LAYER/histogram/counts (M,) int64, shuffled, Zstandard       how often, by neuron and float16

A chunk of ``values`` is shuffled and compressed only if the image in which it ends has few zeros. Any other chunk holds
the float16 as they are, with both of its bits in HDF5's filter mask set, so it can be read in part, or mapped.
"""

from typing import Any, Final

import numpy as np

from indexer.defaults import HALF_MAX

KIND: Final = "unitscope shard"
VERSION: Final = 3
ZSTD_LEVEL: Final = 1
ZSTD: Final[dict[str, Any]] = {"compression": 32015, "compression_opts": (ZSTD_LEVEL,)}
"""How h5py is told to compress a dataset with HDF5's Zstandard filter."""

VALUES_CHUNK: Final = 1 << 16
"""Values in a chunk: 128 KiB."""
_PRESENT_BYTES = 1 << 14


def present_chunk(channels: int, width: int) -> tuple[int, int, int]:
    """Images, neurons and bytes of one compressed chunk of presence bits.

    Questions read one image at a time. So images share a chunk only if their bits are too few to compress well.
    """
    return min(64, max(1, _PRESENT_BYTES // (channels * width))), channels, width


LEAST_POSITIVE: Final = float(np.nextafter(np.float32(2**-25), np.float32(1)))
"""The least float32 that `as_kept` leaves above 0: half of the smallest float16, which itself is rounded to 0.

A peak is positive from here on, so that one of a single cell is exactly if the cell is.
"""


def as_kept(activations: np.ndarray) -> np.ndarray:
    """Activations as maps keep them: float16, clipped to its range."""
    halves: np.ndarray = np.clip(activations, -HALF_MAX, HALF_MAX).astype(np.float16)
    return halves
