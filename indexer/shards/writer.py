"""Activations of a run of images -> one shard file.

1. ``with ShardWriter(path, ...) as shard:``
2. ``shard.add(images, layers)`` for each batch, in order of ids; `indexer.shards.reduce` makes the batches.
3. ``shard.close()`` writes what is known only at the end. Until then the caller keeps the file under a partial name
   (`indexer.store.atomic.publishing`).
"""

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import h5py
import numpy as np

from indexer.index import hdf5
from indexer.shards import format as shard_format
from indexer.shards.counting import Counter
from indexer.shards.histogram import Histogram
from indexer.shards.histogram_file import write_histogram
from indexer.shards.maps.packing import PackedMaps
from indexer.shards.maps.writer import MapsWriter
from indexer.shards.records import IndexedImage, LayerBatch

_COUNTED_AHEAD = 2  # layers whose finished histograms wait in memory while another layer is written
_BLOCK_ROWS = 256


class ShardWriter:
    """Writes one shard; see the module's description.

    ``counted`` returns the histograms of layers that are counted elsewhere; it is called when the shard is closed.
    Without it the writer counts the maps itself.
    """

    def __init__(
        self,
        path: Path,
        layers: dict[str, tuple[int, int, int]],
        attributes: dict[str, str | int],
        keep_images: bool,
        workers: ThreadPoolExecutor,
        counted: Mapping[str, Callable[[], Histogram]] | None = None,
    ) -> None:
        self._workers = workers
        self._file = h5py.File(path, "w", libver="latest")
        hdf5.mark(self._file, shard_format.KIND, shard_format.VERSION)
        hdf5.set_attributes(self._file, attributes)
        self._images: list[IndexedImage] = []
        self._skipped: list[tuple[str, str]] = []
        self._keep_images = keep_images
        self._layers = {
            name: _LayerWriter(
                self._file.create_group(f"layers/{name}"), shape, workers, counted[name] if counted else None
            )
            for name, shape in layers.items()
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        # After an error the file is thrown away: what HDF5 cannot write of it now would only hide the cause.
        with contextlib.suppress(OSError, RuntimeError) if kind else contextlib.nullcontext():
            self._file.close()

    def add(self, images: Sequence[IndexedImage], layers: dict[str, LayerBatch]) -> None:
        """Append a batch; its images become rows in their order."""
        self._images.extend(images)
        counting = [self._workers.submit(self._layers[name].count, batch.maps) for name, batch in layers.items()]
        for name, batch in layers.items():
            self._layers[name].add(batch)
        for counted in counting:
            counted.result()

    def skip(self, path: str, reason: str) -> None:
        """Note an image that could not be used."""
        self._skipped.append((path, reason))

    def close(self) -> tuple[int, int]:
        """Finish the file.

        Returns
        -------
        (int, int)
            Images kept and images skipped.
        """
        counting: deque[tuple[_LayerWriter, Future[Histogram]]] = deque()
        for layer in self._layers.values():
            if len(counting) == _COUNTED_AHEAD:
                _close(*counting.popleft())
            counting.append((layer, self._workers.submit(layer.counted)))
        while counting:
            _close(*counting.popleft())
        _write_images(self._file.create_group("images"), self._images)
        _write_strings(self._file.create_group("skipped"), "path", [path for path, _ in self._skipped])
        _write_strings(self._file["skipped"], "reason", [reason for _, reason in self._skipped])
        if self._keep_images:
            _write_originals(self._file.create_group("originals"), [image.data or b"" for image in self._images])
        self._file.close()
        return len(self._images), len(self._skipped)


def _close(layer: "_LayerWriter", counted: Future[Histogram]) -> None:
    layer.close()
    layer.write(counted.result())


class _RowBlocks:
    """Rows (n, C) that arrive batch by batch. They are kept in large blocks, as small arrays would scatter the heap."""

    def __init__(self, width: int, dtype: type) -> None:
        self._empty: np.ndarray = np.empty((0, width), dtype)
        self._blocks: list[np.ndarray] = []
        self._free = self._empty

    def add(self, rows: np.ndarray) -> None:
        while len(rows):
            if not len(self._free):
                self._free = np.empty((_BLOCK_ROWS, rows.shape[1]), self._empty.dtype)
                self._blocks.append(self._free)
            part = rows[: len(self._free)]
            self._free[: len(part)] = part
            self._free, rows = self._free[len(part) :], rows[len(part) :]

    def all(self) -> np.ndarray:
        filled = np.concatenate([self._empty, *self._blocks])
        return filled[: len(filled) - len(self._free)]


@dataclass
class _LayerWriter:
    group: h5py.Group
    shape: tuple[int, int, int]
    workers: ThreadPoolExecutor
    counted_elsewhere: Callable[[], Histogram] | None
    saturated: int = 0

    def __post_init__(self) -> None:
        self.maps = MapsWriter(self.group, self.shape, self.workers)
        self.counter = Counter(self.shape[0])
        self.peaks, self.peak_cells = _RowBlocks(self.shape[0], np.float32), _RowBlocks(self.shape[0], np.uint32)

    def add(self, batch: LayerBatch) -> None:
        self.maps.add(batch.maps)
        self.peaks.add(batch.peaks)
        self.peak_cells.add(batch.peak_cells)
        self.saturated += batch.saturated

    def count(self, maps: Sequence[PackedMaps]) -> None:
        if self.counted_elsewhere is None:
            self.counter.count(maps)

    def counted(self) -> Histogram:
        """The histogram of all maps that were added. The memory of the counter is freed."""
        if self.counted_elsewhere is not None:
            return self.counted_elsewhere()
        histogram = self.counter.histogram()
        self.counter = Counter(self.shape[0])
        return histogram

    def close(self) -> None:
        self.maps.close(self.saturated)
        for name, rows in (("peaks", self.peaks), ("peak_cells", self.peak_cells)):
            self.group.create_dataset(name, data=np.ascontiguousarray(rows.all().T))

    def write(self, histogram: Histogram) -> None:
        write_histogram(self.group.create_group("histogram"), histogram, self.workers)


def _write_images(group: h5py.Group, images: Sequence[IndexedImage]) -> None:
    group.create_dataset("id", data=np.array([image.id for image in images], np.int64))
    group.create_dataset("width", data=np.array([image.width for image in images], np.int32))
    group.create_dataset("height", data=np.array([image.height for image in images], np.int32))
    group.create_dataset("bytes", data=np.array([image.size for image in images], np.int64))
    digests = np.frombuffer(b"".join(image.sha256 for image in images), np.uint8)
    group.create_dataset("sha256", data=digests.reshape(len(images), 32))
    _write_strings(group, "path", [image.path for image in images])
    _write_strings(group, "class", [image.class_ or "" for image in images])


def _write_strings(group: h5py.Group, name: str, strings: Sequence[str]) -> None:
    # File names may hold bytes that are not UTF-8 (surrogateescape keeps them).
    data = [text.encode("utf-8", "surrogateescape") for text in strings]
    longest = max([1, *map(len, data)])
    group.create_dataset(name, data=np.array(data, dtype=h5py.string_dtype("utf-8", longest)))


def _write_originals(group: h5py.Group, files: Sequence[bytes]) -> None:
    group.create_dataset("data", data=np.frombuffer(b"".join(files), np.uint8))
    group.create_dataset("end", data=np.cumsum([len(file) for file in files], dtype=np.int64))
