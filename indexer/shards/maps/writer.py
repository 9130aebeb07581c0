"""Packed maps -> the datasets of a layer, written around HDF5's lock.

Threads compress outside of HDF5. Chunks have the form that HDF5's own filters give them, so any HDF5 program with the
Zstandard filter can read them. A chunk of values is stored as it is, marked as one that no filter was applied to,
unless the image in which it ends is dense.
"""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import h5py
import numpy as np

from indexer.shards.format import VALUES_CHUNK, ZSTD, present_chunk
from indexer.shards.maps.codec import compressed, shuffled_and_compressed
from indexer.shards.maps.packing import PackedMaps, row_bytes

_NO_FILTER = 0b11  # neither shuffle nor Zstandard
_TASK_BYTES = 1 << 17
"""Bytes that a thread compresses in one task. With smaller tasks, many cores wait for one another to get the next."""
_WAITING = 64
"""Chunks of values that may be with the threads at a time."""


class MapsWriter:
    """Appends the maps of images to the group of a layer."""

    def __init__(self, group: h5py.Group, shape: tuple[int, int, int], workers: ThreadPoolExecutor) -> None:
        channels, height, width = shape
        group.attrs["height"], group.attrs["width"] = height, width
        self._group = group
        self._present = _PresentWriter(group, channels, row_bytes(height * width), workers)
        self._values = _ValuesWriter(group, workers)
        self._ends: list[int] = []

    def add(self, images: Sequence[PackedMaps]) -> None:
        """Append images, in their order."""
        self._present.add([image.present for image in images])
        for image in images:
            self._values.add(image.values, image.dense)
            self._ends.append(self._values.count)

    def close(self, saturated: int) -> None:
        """Write what is left."""
        self._present.close()
        self._values.close()
        self._group.create_dataset("ends", data=np.array(self._ends, np.int64))
        self._group.attrs["saturated"] = saturated


class _PresentWriter:
    """Appends presence bits (C, W) uint8 to a dataset (n, C, W)."""

    def __init__(self, group: h5py.Group, channels: int, width: int, workers: ThreadPoolExecutor) -> None:
        self._chunk = present_chunk(channels, width)
        self._dataset = group.create_dataset(
            "present", (0, channels, width), np.uint8, maxshape=(None, channels, width), chunks=self._chunk,
            **ZSTD,
        )  # fmt: skip
        self._workers = workers
        self._chunks_per_task = max(1, _TASK_BYTES // int(np.prod(self._chunk)))
        self._waiting: list[np.ndarray] = []
        self._rows = 0

    def add(self, images: list[np.ndarray]) -> None:
        waiting = [*self._waiting, *images]
        whole = len(waiting) - len(waiting) % self._chunk[0]
        size = self._chunk[0]
        chunks = waiting if size == 1 else [np.stack(waiting[row : row + size]) for row in range(0, whole, size)]
        self._write(chunks, whole)
        self._waiting = waiting[whole:]

    def close(self) -> None:
        if self._waiting:
            last = np.zeros(self._chunk, np.uint8)
            last[: len(self._waiting)] = self._waiting
            self._write([last], len(self._waiting))

    def _write(self, chunks: list[np.ndarray], rows: int) -> None:
        self._dataset.id.set_extent((self._rows + rows, *self._chunk[1:]))
        parts = [
            chunks[first : first + self._chunks_per_task] for first in range(0, len(chunks), self._chunks_per_task)
        ]
        row = self._rows
        for task in [self._workers.submit(_all_compressed, part) for part in parts]:
            for data in task.result():
                self._dataset.id.write_direct_chunk((row, 0, 0), data)
                row += self._chunk[0]
        self._rows += rows


def _all_compressed(chunks: list[np.ndarray]) -> list[bytes]:
    return [compressed(chunk) for chunk in chunks]


class _ValuesWriter:
    """Appends values (V,) uint16, the bits of float16, to a dataset of one dimension.

    Attributes
    ----------
    count : int
        How many values were added.
    """

    def __init__(self, group: h5py.Group, workers: ThreadPoolExecutor) -> None:
        self._dataset = group.create_dataset(
            "values", (0,), np.float16, maxshape=(None,), chunks=(VALUES_CHUNK,), shuffle=True,
            **ZSTD,
        )  # fmt: skip
        self._workers = workers
        self._compressing: deque[tuple[int, Future[bytes]]] = deque()
        self._chunk = np.empty(VALUES_CHUNK, np.uint16)
        self._filled = 0
        self.count = 0

    def add(self, values: np.ndarray, dense: bool) -> None:
        while len(values):
            part = values[: VALUES_CHUNK - self._filled]
            self._chunk[self._filled : self._filled + len(part)] = part
            self._filled += len(part)
            self.count += len(part)
            values = values[len(part) :]
            if self._filled == VALUES_CHUNK:
                self._end_chunk(dense)

    def close(self) -> None:
        if self._filled:  # compressed, because it is filled up with zeros
            self._end_chunk(dense=True)
        while self._compressing:
            self._write_compressed()

    def _end_chunk(self, dense: bool) -> None:
        self._dataset.id.set_extent((self.count,))
        first = self.count - self._filled
        if dense:
            if len(self._compressing) == _WAITING:
                self._write_compressed()
            values = self._chunk[: self._filled].copy()
            self._compressing.append((first, self._workers.submit(shuffled_and_compressed, values, VALUES_CHUNK)))
        else:
            self._dataset.id.write_direct_chunk((first,), self._chunk.data, _NO_FILTER)
        self._filled = 0

    def _write_compressed(self) -> None:
        first, data = self._compressing.popleft()
        self._dataset.id.write_direct_chunk((first,), data.result())
