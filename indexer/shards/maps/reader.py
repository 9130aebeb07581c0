"""The datasets of a layer -> the maps of its images, from any thread.

HDF5 only says where a chunk lies; this module reads and decompresses the bytes.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import h5py
import numpy as np

from indexer.errors import DamagedFile
from indexer.index import hdf5
from indexer.shards.maps.chunk_offsets import ChunkOffsets, Extent
from indexer.shards.maps.codec import FRAME_BYTES, CodecError, decompressed, decompressed_and_unshuffled
from indexer.shards.maps.packing import row_bytes, unpacked

MAX_CHUNK_BYTES: Final = 1 << 28
"""The most bytes of maps that one chunk may stand for. The maps of one image of any known network are smaller."""
_ERRORS = (CodecError, OSError, RuntimeError, ValueError, MemoryError)
_VALUE_BYTES = 2

ReadRange = Callable[[int, int], bytes]
"""Takes a size and an offset, like `os.pread` without its file descriptor."""


class MapsReader:
    """Reads the maps of one layer.

    Attributes
    ----------
    shape : (int, int, int, int)
        Images, channels, height and width.
    """

    def __init__(self, file: h5py.File, layer: str, read_range: ReadRange, lock: threading.Lock, name: str) -> None:
        """``lock`` is held by the caller now; later it is taken whenever HDF5 is asked. ``name`` is the file's.

        Raises
        ------
        KeyError, TypeError, ValueError, OSError, RuntimeError
            The layer's datasets are missing, or are not what a shard has.
        """
        self._name = name
        group = f"layers/{layer}"
        present, values, ends = (hdf5.own_dataset(file, f"{group}/{part}") for part in ("present", "values", "ends"))
        height, width = (int(hdf5.get_attribute(file[group], side) or 0) for side in ("height", "width"))
        if not (height > 0 and width > 0 and present.ndim == 3 and present.dtype == np.uint8):
            raise TypeError("not packed maps")
        self.shape = (present.shape[0], present.shape[1], height, width)
        self._cells = height * width
        if present.shape[2] != row_bytes(self._cells) or (present.chunks or ())[1:] != present.shape[1:]:
            raise ValueError("bits of another shape than the maps")
        if values.ndim != 1 or values.dtype != np.float16 or not values.chunks:
            raise TypeError("not values in chunks")
        self._ends = _checked_ends(ends, self.shape[0], values.shape[0])
        self._present = _Chunks(present, MAX_CHUNK_BYTES // 16, read_range, lock)  # a bit stands for two bytes
        self._values = _Chunks(values, MAX_CHUNK_BYTES, read_range, lock)

    def maps(self, row: int) -> np.ndarray:
        """All maps (C, H, W) float16 of one image."""
        self._check(row)
        with self._reading(row):
            values = self._read_values(*self._extent(row))
            return unpacked(self._read_present(row), values, self._cells).reshape(self.shape[1:])

    def map(self, row: int, channel: int) -> np.ndarray:
        """The map (H, W) float16 of one neuron on one image."""
        self._check(row, channel)
        with self._reading(row):
            present = self._read_present(row)
            counts = np.bitwise_count(present[: channel + 1]).sum(axis=1, dtype=np.int64)
            first, end = self._extent(row)
            begin = first + int(counts[:-1].sum())
            if begin + int(counts[-1]) > end:
                raise ValueError("more activations are not zero than are there")
            values = self._read_values(begin, begin + int(counts[-1]))
            return unpacked(present[channel : channel + 1], values, self._cells).reshape(self.shape[2:])

    def check(self) -> None:
        """Find every chunk, without reading it.

        Raises
        ------
        DamagedFile
        """
        for row in range(0, self.shape[0], self._present.length):
            with self._reading(row):
                self._present.find(row)
        last = int(self._ends[-1]) if len(self._ends) else 0
        for first in range(0, last, self._values.length):
            with self._reading(int(np.searchsorted(self._ends, first, side="right"))):
                self._values.find(first)

    def _check(self, row: int, channel: int = 0) -> None:
        if not (0 <= row < self.shape[0] and 0 <= channel < self.shape[1]):
            raise DamagedFile(self._name, f"has maps of shape {self.shape}, without row {row} and channel {channel}")

    def _extent(self, row: int) -> tuple[int, int]:
        return int(self._ends[row - 1]) if row else 0, int(self._ends[row])

    @contextmanager
    def _reading(self, row: int) -> Iterator[None]:
        """Errors within it say that the maps of a row cannot be read."""
        try:
            yield
        except _NeverWrittenError as error:
            raise DamagedFile(self._name, f"lacks the maps of row {row}") from error
        except _ERRORS as error:
            raise DamagedFile(self._name, f"the maps of row {row} cannot be read ({error})") from error

    def _read_present(self, row: int) -> np.ndarray:
        """The bits (C, W) of one image."""
        number = row % self._present.length
        shape = (self._present.length, self.shape[1], row_bytes(self._cells))
        data = decompressed(self._present.read(row - number), self._present.bytes)
        bits: np.ndarray = np.frombuffer(data, np.uint8).reshape(shape)[number]
        return bits

    def _read_values(self, first: int, end: int) -> np.ndarray:
        """Values ``first`` to ``end`` (n,) float16."""
        length, parts = self._values.length, []
        while first < end:
            begin = first - first % length
            stop = min(end, begin + length)
            parts.append(self._part_of_chunk(begin, first - begin, stop - begin))
            first = stop
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.float16), *parts])

    def _part_of_chunk(self, begin: int, first: int, end: int) -> np.ndarray:
        extent = self._values.find(begin)
        if not extent.mask:
            data = self._values.read(begin)
            return decompressed_and_unshuffled(data, self._values.length, np.float16)[first:end]
        raw = self._values.read_part(extent, first * _VALUE_BYTES, end * _VALUE_BYTES)
        return np.frombuffer(raw, np.float16)


class _NeverWrittenError(Exception):
    """A chunk is not there, or cannot be what it says it is."""


class _Chunks:
    """The chunks of a dataset that is divided along its first dimension.

    Attributes
    ----------
    length : int
        Rows of a chunk.
    bytes : int
        Bytes of a chunk before it is compressed.
    """

    def __init__(self, dataset: h5py.Dataset, most: int, read_range: ReadRange, lock: threading.Lock) -> None:
        self._offsets, self._read_range, self._lock = ChunkOffsets(dataset), read_range, lock
        self.length = int(dataset.chunks[0])
        self.bytes = int(np.prod(dataset.chunks, dtype=object)) * dataset.dtype.itemsize
        self._unfiltered = (1 << dataset.id.get_create_plist().get_nfilters()) - 1
        if self.bytes > most:
            raise ValueError(f"chunks of more than {most} bytes")

    def find(self, begin: int) -> Extent:
        """Where the chunk lies that begins with this row. Its mask says that all filters were applied, or none."""
        with self._lock:
            extent = self._offsets.find(begin)
        if extent is None or extent.size > self.bytes + FRAME_BYTES:
            raise _NeverWrittenError
        if extent.mask and (extent.mask != self._unfiltered or extent.size != self.bytes):
            raise _NeverWrittenError
        return extent

    def read(self, begin: int) -> bytes:
        """The stored bytes of a chunk."""
        extent = self.find(begin)
        return self._read_range(extent.size, extent.offset)

    def read_part(self, extent: Extent, first: int, end: int) -> bytes:
        """Bytes ``first`` to ``end`` of a chunk that no filter was applied to."""
        data = self._read_range(end - first, extent.offset + first)
        if len(data) != end - first:
            raise ValueError("the file ends before it")
        return data


def _checked_ends(dataset: h5py.Dataset, images: int, values: int) -> np.ndarray:
    if dataset.shape != (images,) or dataset.dtype.kind not in "iu":
        raise ValueError("ends of other images than the maps")
    ends = hdf5.read_all(dataset).astype(np.int64)
    if (np.diff(ends, prepend=0) < 0).any() or (int(ends[-1]) if images else 0) != values:
        raise ValueError("ends that do not fit the values")
    return ends
