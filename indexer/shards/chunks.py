"""Compressed chunks of maps, written and read around HDF5's lock.

Several threads compress and decompress chunks outside of HDF5. The chunks have the form that HDF5's Zstandard filter
gives them, so any HDF5 program with that filter can read the dataset.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import hdf5plugin  # noqa: F401 - registers the filter, without which HDF5's errors are cryptic
import numpy as np
import zstandard

from indexer.errors import DamagedFile
from indexer.shards.chunk_offsets import ChunkOffsets
from indexer.shards.format import ZSTD_FILTER, ZSTD_LEVEL, chunk_shape

MAX_CHUNK_BYTES = 1 << 28
"""The largest chunk that is read. A single map of any known network is smaller."""
FRAME_BYTES = 1 << 16
"""How many bytes a compressed chunk may be longer than its content."""

_NUMBERS = 1 << 16
"""Numbers in a chunk of a dataset of one dimension."""

_TASK_BYTES = 1 << 19
"""Bytes that a thread compresses in one task. With smaller tasks, many cores wait for one another to get the next."""


class _Codecs(threading.local):
    """The compressor and decompressor of one thread."""

    def __init__(self) -> None:
        self.compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        self.decompressor = zstandard.ZstdDecompressor()


_codecs = _Codecs()


def _compress(chunk: np.ndarray) -> bytes:
    return _codecs.compressor.compress(chunk.data)


def _decompress(data: bytes, size: int) -> bytes:
    # zstandard allocates the size that a frame claims, even beyond max_output_size.
    if zstandard.frame_content_size(data) not in (size, -1):
        raise ValueError("it claims another length")
    return _codecs.decompressor.decompress(data, max_output_size=size)


def _compress_shuffled(values: np.ndarray) -> bytes:
    shuffled = np.zeros((values.itemsize, _NUMBERS), np.uint8)
    shuffled[:, : len(values)] = values.view(np.uint8).reshape(len(values), values.itemsize).T
    return _compress(shuffled)


def _compress_all(chunks: list[np.ndarray]) -> list[bytes]:
    return [_compress(chunk) for chunk in chunks]


def write_shuffled(group: h5py.Group, name: str, values: np.ndarray, compressors: ThreadPoolExecutor) -> None:
    """Write numbers (n,) as a dataset with their bytes shuffled.

    Where neighbours share their high bytes, this takes a third of the size.
    """
    dataset = group.create_dataset(
        name, (len(values),), values.dtype, maxshape=(None,), chunks=(_NUMBERS,), shuffle=True,
        compression=ZSTD_FILTER, compression_opts=(ZSTD_LEVEL,),
    )  # fmt: skip
    starts = range(0, len(values), _NUMBERS)
    chunks = [compressors.submit(_compress_shuffled, values[start : start + _NUMBERS]) for start in starts]
    for start, data in zip(starts, chunks, strict=True):
        dataset.id.write_direct_chunk((start,), data.result())


class ChunkWriter:
    """Appends maps to a dataset (n, C, H, W) float16 of a group."""

    def __init__(
        self, group: h5py.Group, name: str, shape: tuple[int, int, int], compressors: ThreadPoolExecutor
    ) -> None:
        self._shape = shape
        self._chunk = chunk_shape(*shape)
        self._dataset = group.create_dataset(
            name,
            shape=(0, *shape),
            maxshape=(None, *shape),
            chunks=self._chunk,
            dtype=np.float16,
            compression=ZSTD_FILTER,
            compression_opts=(ZSTD_LEVEL,),
        )
        self._pool = compressors
        self._chunks_per_task = max(1, _TASK_BYTES // (2 * int(np.prod(self._chunk))))
        self._rows = 0
        self._waiting = np.empty((0, *shape), np.float16)

    def add(self, maps: np.ndarray) -> None:
        """Append maps (B, C, H, W) float16."""
        maps = np.concatenate([self._waiting, maps]) if len(self._waiting) else maps
        whole = len(maps) - len(maps) % self._chunk[0]
        self._write(maps[:whole])
        self._waiting = maps[whole:]

    def close(self) -> h5py.Dataset:
        """Write what is left and return the dataset."""
        self._write(self._waiting)
        return self._dataset

    def _write(self, maps: np.ndarray) -> None:
        if not len(maps):
            return
        self._dataset.resize(self._rows + len(maps), axis=0)
        starts = [
            (row, channel)
            for row in range(0, len(maps), self._chunk[0])
            for channel in range(0, self._shape[0], self._chunk[1])
        ]
        tasks: list[tuple[list[tuple[int, int]], Future[list[bytes]]]] = []
        for first in range(0, len(starts), self._chunks_per_task):
            own = starts[first : first + self._chunks_per_task]
            tasks.append((own, self._pool.submit(_compress_all, [self._part(maps, *start) for start in own])))
        for own, compressed in tasks:
            for (row, channel), data in zip(own, compressed.result(), strict=True):
                self._dataset.id.write_direct_chunk((self._rows + row, channel, 0, 0), data)
        self._rows += len(maps)

    def _part(self, maps: np.ndarray, row: int, channel: int) -> np.ndarray:
        """The chunk that begins there, padded with zeros."""
        part = maps[row : row + self._chunk[0], channel : channel + self._chunk[1]]
        if part.shape == self._chunk:
            return np.ascontiguousarray(part)
        full = np.zeros(self._chunk, np.float16)
        full[: part.shape[0], : part.shape[1]] = part
        return full


class ChunkReader:
    """Reads maps of a dataset (n, C, H, W) float16 by image, from any thread.

    HDF5 only says where a chunk lies; this class reads and decompresses the bytes.
    """

    def __init__(
        self, dataset: h5py.Dataset, read_range: Callable[[int, int], bytes], lock: threading.Lock, file: str
    ) -> None:
        self._read_range, self._lock, self._file = read_range, lock, file
        self.shape: tuple[int, ...] = dataset.shape
        self._chunk = dataset.chunks
        if dataset.dtype != np.float16 or self._chunk is None or len(self.shape) != 4:
            raise TypeError("not compressed maps")
        if self._chunk[2:] != self.shape[2:] or self._chunk[1] > self.shape[1]:
            raise ValueError("chunks of another shape than the maps")
        self._offsets = ChunkOffsets(dataset)
        self._bytes = int(np.prod(self._chunk, dtype=object)) * 2
        if self._bytes > MAX_CHUNK_BYTES:
            raise ValueError(f"chunks of more than {MAX_CHUNK_BYTES} bytes")

    def maps(self, row: int) -> np.ndarray:
        """All maps (C, H, W) float16 of one image."""
        self._check(row)
        parts = [self._read(row, channel) for channel in range(0, self.shape[1], self._chunk[1])]
        return np.concatenate(parts)[: self.shape[1]] if len(parts) > 1 else parts[0][: self.shape[1]]

    def map(self, row: int, channel: int) -> np.ndarray:
        """The map (H, W) float16 of one neuron on one image."""
        self._check(row, channel)
        map_: np.ndarray = self._read(row, channel - channel % self._chunk[1])[channel % self._chunk[1]]
        return map_

    def _check(self, row: int, channel: int = 0) -> None:
        if not (0 <= row < self.shape[0] and 0 <= channel < self.shape[1]):
            raise DamagedFile(self._file, f"has maps of shape {self.shape}, without row {row} and channel {channel}")

    def check(self) -> None:
        """Find every chunk, without reading it."""
        for row in range(0, self.shape[0], self._chunk[0]):
            for channel in range(0, self.shape[1], self._chunk[1]):
                self._find(row, channel)

    def _find(self, row: int, channel: int) -> tuple[int, int]:
        try:
            with self._lock:
                extent = self._offsets.find(row - row % self._chunk[0], channel)
        except (OSError, RuntimeError, ValueError) as error:
            raise DamagedFile(self._file, f"the maps of row {row} cannot be found ({error})") from error
        if extent is None or extent[1] > self._bytes + FRAME_BYTES:
            raise DamagedFile(self._file, f"lacks the maps of row {row}")
        return extent

    def _read(self, row: int, channel: int) -> np.ndarray:
        offset, size = self._find(row, channel)
        try:
            data = _decompress(self._read_range(size, offset), self._bytes)
        except (zstandard.ZstdError, OSError, RuntimeError, ValueError, MemoryError) as error:
            raise DamagedFile(self._file, f"the maps of row {row} cannot be read ({error})") from error
        if len(data) != self._bytes:
            raise DamagedFile(self._file, f"the maps of row {row} have the wrong length")
        maps: np.ndarray = np.frombuffer(data, np.float16).reshape(self._chunk)[row % self._chunk[0]]
        return maps
