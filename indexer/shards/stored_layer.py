"""The kept activations of one layer in an open shard file."""

import threading

import h5py
import numpy as np

from indexer.errors import DamagedFile
from indexer.index import hdf5
from indexer.shards.histogram import Histogram
from indexer.shards.histogram_file import read_histogram
from indexer.shards.maps.reader import MapsReader
from indexer.store.storage import ReadRange

READ_ERRORS = (KeyError, OSError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError)


class StoredLayer:
    """Reads a layer of a shard file. Safe from any thread.

    Parameters
    ----------
    file : h5py.File
        The open file. ``lock`` is held while HDF5 reads it.
    layer : str
    rows : int
        How many images the file lists.
    read_range : callable
        Reads the file's bytes without HDF5.
    lock : threading.Lock
    name : str
        The name of the file in errors.
    """

    def __init__(
        self, file: h5py.File, layer: str, rows: int, read_range: ReadRange, lock: threading.Lock, name: str
    ) -> None:
        self._h5, self._layer, self._images = file, layer, rows
        self._read_range, self._lock, self._name = read_range, lock, name
        self._reader: MapsReader | None = None
        self._rows: dict[str, hdf5.StoredRows] = {}

    def peaks(self, neurons: slice) -> tuple[np.ndarray, np.ndarray]:
        """See `indexer.shards.reader.Shard.peaks`."""
        return self._some("peaks", neurons), self._some("peak_cells", neurons)

    def histogram(self) -> Histogram:
        """See `indexer.shards.reader.Shard.histogram`."""
        channels = self.reader().shape[1]
        with self._lock:
            try:
                return read_histogram(self._h5[f"layers/{self._layer}/histogram"], channels)
            except READ_ERRORS as error:
                raise DamagedFile(
                    self._name, f"the histogram of layer {self._layer!r} cannot be read ({error})"
                ) from error

    def saturated(self) -> int:
        """See `indexer.shards.reader.Shard.saturated`."""
        with self._lock:
            return int(hdf5.get_attribute(self._h5[f"layers/{self._layer}"], "saturated") or 0)

    def reader(self) -> MapsReader:
        """The reader of the maps.

        Raises
        ------
        DamagedFile
            There are none, or they are of other images.
        """
        if self._reader is None:
            with self._lock:
                try:
                    reader = MapsReader(self._h5, self._layer, self._read_range, self._lock, self._name)
                    if reader.shape[0] != self._images:
                        raise ValueError("maps of other images than are listed")
                except (KeyError, RuntimeError, TypeError, ValueError, OSError) as error:
                    raise DamagedFile(self._name, f"lacks the maps of layer {self._layer!r}") from error
            self._reader = reader
        return self._reader

    def _some(self, name: str, rows: slice) -> np.ndarray:
        path = f"layers/{self._layer}/{name}"
        try:
            with self._lock:
                if name not in self._rows:
                    self._rows[name] = hdf5.StoredRows.of(hdf5.own_dataset(self._h5, path))
            return self._rows[name].read(self._read_range, rows)
        except READ_ERRORS as error:
            raise DamagedFile(self._name, f"{path!r} cannot be read ({error})") from error
