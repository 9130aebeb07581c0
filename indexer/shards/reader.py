"""A shard file -> its images and activations."""

import threading
import weakref
from contextlib import ExitStack
from typing import Self

import numpy as np

from indexer.errors import DamagedFile
from indexer.index import hdf5
from indexer.shards import format as shard_format
from indexer.shards.histogram import Histogram
from indexer.shards.records import IndexedImage
from indexer.shards.stored_layer import READ_ERRORS, StoredLayer
from indexer.store.storage import Location, storage_at


class Shard:
    """An open shard. Its maps may be read from any thread.

    An open shard stays readable after its file is deleted. The file closes at the latest when nobody holds the object
    any longer.

    Attributes
    ----------
    name : str
        The name that errors use.
    rows : int
        How many images it holds.
    """

    VERSION = shard_format.VERSION

    def __init__(self, path: Location, name: str | None = None) -> None:
        self.name = name or path.name
        self._h5 = hdf5.open_file(path, self.name, shard_format.KIND, self.VERSION)
        files = ExitStack()
        files.enter_context(self._h5)
        self._close = weakref.finalize(self, files.close)
        self._read_range = files.enter_context(storage_at(path).ranges())
        self._lock = threading.Lock()
        self._stored: dict[str, StoredLayer] = {}
        try:
            self.ids = self._column("id", np.int64)
        except BaseException:
            self.close()
            raise
        self.rows = len(self.ids)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        with self._lock:
            self._close()

    @property
    def attributes(self) -> dict[str, str | int]:
        """The attributes of the whole shard; `indexer.shards.format` lists them.

        Raises
        ------
        DamagedFile
        """
        try:
            values = {name: hdf5.get_attribute(self._h5, name) for name in self._h5.attrs}
            return {name: value for name, value in values.items() if value is not None}
        except (KeyError, OSError, RuntimeError, ValueError, TypeError) as error:
            raise DamagedFile(self.name, f"has attributes that cannot be read ({error})") from error

    def layers(self) -> list[str]:
        """The names of the layers that can be read, sorted.

        Raises
        ------
        DamagedFile
        """
        with self._lock:
            try:
                return sorted(self._h5["layers"])
            except READ_ERRORS as error:
                raise DamagedFile(self.name, f"lists no layers ({error})") from error

    def images(self) -> list[IndexedImage]:
        """The image table, without original files."""
        columns = {name: self._column(name, np.int64).tolist() for name in ("id", "width", "height", "bytes")}
        digests = self._get("images/sha256")
        paths, classes = self._strings("images/path"), self._strings("images/class")
        return [
            IndexedImage(
                id=columns["id"][row],
                path=paths[row],
                class_=classes[row] or None,
                width=columns["width"][row],
                height=columns["height"][row],
                size=columns["bytes"][row],
                sha256=digests[row].tobytes(),
            )
            for row in range(self.rows)
        ]

    def skipped(self) -> list[tuple[str, str]]:
        """Path and reason of each image of this run that could not be used."""
        return list(zip(self._strings("skipped/path"), self._strings("skipped/reason"), strict=True))

    def original(self, row: int) -> bytes:
        """The original file of an image, if the index keeps originals."""
        ends = self._get("originals/end")
        try:
            first, end = int(ends[row - 1]) if row else 0, int(ends[row])
            with self._lock:
                data = hdf5.own_dataset(self._h5, "originals/data")
                kept: np.ndarray = data[first : min(end, first + hdf5.MAX_READ)]
                return kept.tobytes()
        except (KeyError, OSError, RuntimeError, ValueError, TypeError, IndexError) as error:
            raise DamagedFile(self.name, f"the original of row {row} cannot be read ({error})") from error

    def stored(self, layer: str) -> StoredLayer:
        """The kept activations of a layer; their parts are read, and found damaged, when they are asked for."""
        if layer not in self._stored:
            self._stored[layer] = StoredLayer(self._h5, layer, self.rows, self._read_range, self._lock, self.name)
        return self._stored[layer]

    def peaks(self, layer: str, neurons: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Peaks (C, n) float32 and their cells (C, n) uint32, of all neurons or some."""
        return self.stored(layer).peaks(neurons)

    def histogram(self, layer: str) -> Histogram:
        """The histogram of a layer over this shard's images."""
        return self.stored(layer).histogram()

    def saturated(self, layer: str) -> int:
        """How many activations of a layer were clipped to the range of float16."""
        return self.stored(layer).saturated()

    def maps(self, layer: str, row: int) -> np.ndarray:
        """All maps (C, H, W) float16 of a layer on one image."""
        return self.stored(layer).reader().maps(row)

    def map(self, layer: str, row: int, neuron: int) -> np.ndarray:
        """The map (H, W) float16 of one neuron on one image."""
        return self.stored(layer).reader().map(row, neuron)

    def check_maps(self, layer: str) -> None:
        """Find every chunk of a layer's maps, without reading it.

        Raises
        ------
        DamagedFile
        """
        self.stored(layer).reader().check()

    def _column(self, name: str, dtype: type) -> np.ndarray:
        column = self._get(f"images/{name}")
        if column.ndim != 1 or column.dtype.kind not in "iu":
            raise DamagedFile(self.name, f"'images/{name}' is not a list of numbers")
        return column.astype(dtype)

    def _strings(self, name: str) -> list[str]:
        texts = self._get(name).tolist()
        if not all(isinstance(text, bytes) for text in texts):
            raise DamagedFile(self.name, f"{name!r} is not a list of texts")
        return [text.decode("utf-8", "surrogateescape") for text in texts]

    def _get(self, name: str) -> np.ndarray:
        with self._lock:
            try:
                return hdf5.read_all(hdf5.own_dataset(self._h5, name))
            except READ_ERRORS as error:
                raise DamagedFile(self.name, f"{name!r} cannot be read ({error})") from error
