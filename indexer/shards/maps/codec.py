"""Zstandard as HDF5's filters apply it, outside of HDF5's one lock."""

import threading

import hdf5plugin  # noqa: F401 - registers the filter, without which HDF5's errors are cryptic
import numpy as np
import zstandard

from indexer.shards.format import ZSTD_LEVEL

FRAME_BYTES = 1 << 16
"""How many bytes a compressed chunk may be longer than its content."""
CodecError = zstandard.ZstdError


class _Codecs(threading.local):
    """The compressor and decompressor of one thread."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_codecs = _Codecs()


def compressed(chunk: np.ndarray) -> bytes:
    """The bytes of a contiguous array, compressed."""
    return _codecs.compressor.compress(chunk.data)


def decompressed(data: bytes, size: int) -> bytes:
    """The ``size`` bytes that were compressed.

    Raises
    ------
    ValueError, zstandard.ZstdError
        The data are damaged.
    """
    # zstandard allocates the size that a frame claims, even beyond max_output_size.
    if zstandard.frame_content_size(data) not in (size, -1):
        raise ValueError("it claims another length")
    content = _codecs.decompressor.decompress(data, max_output_size=size)
    if len(content) != size:
        raise ValueError("it has another length")
    return content


def shuffled_and_compressed(values: np.ndarray, length: int) -> bytes:
    """Numbers (n,), filled up with zeros to ``length`` of them, as the filters shuffle and Zstandard leave a chunk."""
    shuffled = np.zeros((values.itemsize, length), np.uint8)
    shuffled[:, : len(values)] = values.view(np.uint8).reshape(len(values), values.itemsize).T
    return compressed(shuffled)


def decompressed_and_unshuffled(data: bytes, length: int, dtype: type) -> np.ndarray:
    """The numbers (length,) of a chunk that `shuffled_and_compressed` made.

    Raises
    ------
    ValueError, zstandard.ZstdError
        The data are damaged.
    """
    size = np.dtype(dtype).itemsize
    shuffled = np.frombuffer(decompressed(data, size * length), np.uint8).reshape(size, length)
    return np.ascontiguousarray(shuffled.T).view(dtype)[:, 0]
