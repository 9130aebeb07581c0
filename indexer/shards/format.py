"""The format of a shard, shared by its writer and its reader.

::

    attributes: format, version, configuration (digest), number, first_id, end_id
    images/id (n,) int64; images/path, images/class (n,) UTF-8, "" for no class; images/width, images/height (n,) int32;
    images/bytes (n,) int64; images/sha256 (n, 32) uint8
    skipped/path, skipped/reason (m,) UTF-8
    originals/data uint8, originals/end (n,) int64            only with keep_images
    layers/LAYER/maps (n, C, H, W) float16, Zstandard         attribute saturated: values clipped to +-65504
    layers/LAYER/peaks (C, n) float32, layers/LAYER/peak_cells (C, n) uint32
    layers/LAYER/histogram/keys (M,) uint32, .../counts (M,) int64
"""

from typing import Final

import numpy as np

KIND: Final = "unitscope shard"
VERSION: Final = 2
ZSTD_FILTER: Final = 32015
ZSTD_LEVEL: Final = 1
HALF_MAX: Final = 65504.0
"""Largest float16."""

_CHUNK_BYTES = 128 * 1024


def chunk_shape(channels: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Images, channels, height and width of one compressed chunk of maps.

    Questions read one image at a time. So a chunk holds as many channels as fit of one image, if the image's maps fill
    a chunk. Images share a chunk only if their maps are too small for that, as a classifier's are.
    """
    map_bytes = 2 * height * width
    if channels * map_bytes >= _CHUNK_BYTES // 2:
        parts = -(-channels * map_bytes // (2 * _CHUNK_BYTES))
        return 1, -(-channels // parts), height, width
    return min(64, _CHUNK_BYTES // (channels * map_bytes)), channels, height, width


def as_kept(activations: np.ndarray) -> np.ndarray:
    """Activations as maps keep them: float16, clipped to its range."""
    halves: np.ndarray = np.clip(activations, -HALF_MAX, HALF_MAX).astype(np.float16)
    return halves
