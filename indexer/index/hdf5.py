"""Arrays of an HDF5 file read through memory mapping.

h5py serialises every call in a process behind one lock; a contiguous, uncompressed dataset is just bytes at an offset
of the file, so threads can read it through `numpy.memmap` and processes share its pages.
"""

import errno
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from indexer.errors import DamagedFile, StorageUnavailable
from indexer.store.storage import Location, storage_at

_READER_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError)
_MOST_TEXT = 1 << 12
_ALIGNMENT = 64  # bytes: one cache line
MAX_READ = 1 << 32
"""The most bytes read into memory at once: far more than the arrays of the widest layer take."""


def create_file(path: Path, kind: str, version: int) -> h5py.File:
    """Create a file of arrays for `map_arrays`, with its mark.

    Every dataset is aligned. By default HDF5 starts a dataset at any byte, and numpy then copies the whole array each
    time it searches or compares one whose offset is not a multiple of its item size.
    """
    file = h5py.File(path, "w", libver="latest", alignment_threshold=1, alignment_interval=_ALIGNMENT)
    mark(file, kind, version)
    return file


def mark(file: h5py.File, kind: str, version: int) -> None:
    """Write the magic and the format version into a file."""
    set_attributes(file, {"format": kind, "version": version})


def set_attributes(item: h5py.Group | h5py.Dataset, values: Mapping[str, str | int]) -> None:
    """Write numbers and texts. Texts get a fixed length; `get_attribute` says why."""
    for name, value in values.items():
        item.attrs[name] = np.bytes_(value.encode()) if isinstance(value, str) else value


def get_attribute(item: h5py.Group | h5py.Dataset, name: str) -> str | int | None:
    """The number or text of an attribute; None if the item has no attribute of this name.

    Texts of variable length are never read: HDF5 keeps them in a heap, and it searches a heap with a damaged size
    forever.

    Raises
    ------
    ValueError
        The attribute is neither a number nor a text of fixed length.
    """
    if not h5py.h5a.exists(item.id, name.encode()):
        return None
    attribute = h5py.h5a.open(item.id, name.encode())
    dtype = attribute.dtype
    if attribute.shape != () or dtype.kind not in "iuS" or dtype.itemsize > _MOST_TEXT:
        raise ValueError(f"attribute {name!r} is neither a number nor a text of fixed length")
    value = np.empty((), dtype)
    attribute.read(value)
    return value.item().decode() if dtype.kind == "S" else int(value)


def check_mark(file: h5py.File, name: str, kind: str, version: int) -> None:
    """Refuse a file that is not of this kind and version.

    Raises
    ------
    DamagedFile
    ValueError
        The attribute that holds the kind or the version cannot be read.
    """
    stored = get_attribute(file, "version")
    reads = f"has format version {stored}, this program reads version {version}"
    if isinstance(stored, int) and stored < version:  # before the kind: older versions may have named it otherwise
        raise DamagedFile(name, f"{reads}; build the index anew")
    if get_attribute(file, "format") != kind:
        raise DamagedFile(name, f"is not a {kind}")
    if stored != version:
        raise DamagedFile(name, reads)


def open_file(path: Location, name: str, kind: str, version: int) -> h5py.File:
    """Open an HDF5 file for reading and check its mark.

    Raises
    ------
    DamagedFile
        It is missing, truncated, not an HDF5 file, or not of this kind and version.
    StorageUnavailable
        This process has too many files open.
    """
    if storage_at(path).is_irregular():
        raise DamagedFile(name, "is not a file")
    try:
        file = h5py.File(storage_at(path).readable(), "r")
    except FileNotFoundError as error:
        raise DamagedFile(name, "is missing") from error
    except _READER_ERRORS as error:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            raise StorageUnavailable(f"{name} cannot be opened now: too many files are open") from error
        path.stat()  # if the storage does not answer, this raises the true cause
        raise DamagedFile(name, "is truncated or not an HDF5 file") from error
    try:
        check_mark(file, name, kind, version)
    except _READER_ERRORS as error:
        file.close()
        raise DamagedFile(name, "does not say its format and version") from error
    except BaseException:
        file.close()
        raise
    return file


def own_dataset(file: h5py.File, key: str) -> h5py.Dataset:
    """A dataset whose bytes are all in this file. HDF5 could also read them from other files that this one names.

    Raises
    ------
    KeyError
        The file has no such dataset.
    ValueError
        The dataset is a link, is stored elsewhere, or holds values of variable length.
    """
    parts = key.split("/")
    for depth in range(1, len(parts) + 1):
        item = "/".join(parts[:depth])
        if not isinstance(file.get(item, getlink=True), h5py.HardLink):
            raise ValueError(f"{item} is a link")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise ValueError("is not an array")
    if dataset.external or dataset.is_virtual:
        raise ValueError("is stored in another file")
    if dataset.dtype.hasobject:
        raise ValueError("holds values of variable length")
    return dataset


def read_all(dataset: h5py.Dataset) -> np.ndarray:
    """The whole of a dataset.

    Raises
    ------
    ValueError
        It claims to be larger than `MAX_READ`.
    """
    size = dataset.size * dataset.dtype.itemsize
    if size > MAX_READ:
        raise ValueError(f"claims to have {size} bytes; at most {MAX_READ} are read at once")
    values: np.ndarray = dataset[()]
    return values


@dataclass(frozen=True, slots=True)
class StoredRows:
    """Where the rows of a contiguous dataset lie, so that they are read without asking HDF5 for the dataset again.

    Reading this way takes a tenth of the time that HDF5 needs to find the dataset.

    Attributes
    ----------
    offset : int
        Offset of the dataset's first byte in the file.
    shape : tuple of int
    dtype : dtype
    """

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> "StoredRows":
        """The rows of a dataset that `own_dataset` returned.

        Raises
        ------
        ValueError
            The dataset is stored in chunks, or has no rows.
        """
        offset = dataset.id.get_offset() if dataset.chunks is None else None
        if not dataset.ndim or (offset is None and dataset.size):
            raise ValueError("is not in one piece")
        return cls(offset or 0, dataset.shape, dataset.dtype)

    def read(self, read_range: Callable[[int, int], bytes], rows: slice) -> np.ndarray:
        """Read these rows. ``read_range`` takes a size and an offset, like `os.pread` without its file descriptor.

        Raises
        ------
        ValueError
            The file ends before the last of them, or they claim more than `MAX_READ` bytes.
        """
        first, end, _ = rows.indices(self.shape[0])
        shape = (max(0, end - first), *self.shape[1:])
        row_bytes = int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize
        size, offset, parts = shape[0] * row_bytes, self.offset + first * row_bytes, []
        if size > MAX_READ:
            raise ValueError(f"claims to have {size} bytes; at most {MAX_READ} are read at once")
        while size and (part := read_range(size, offset)):  # the system may return less than was asked for
            parts.append(part)
            size, offset = size - len(part), offset + len(part)
        if size:
            raise ValueError(f"the file ends {size} bytes before it")
        return np.frombuffer(b"".join(parts), self.dtype).reshape(shape)


def map_arrays(path: Location, name: str, kind: str, version: int) -> dict[str, np.ndarray]:
    """Map every dataset of a derived file, read-only; all are contiguous.

    Returns
    -------
    dict of str to ndarray
        Dataset paths to arrays; empty datasets are ordinary arrays.

    Raises
    ------
    DamagedFile
    """
    local = storage_at(path).local_file(name)
    with open_file(local, name, kind, version) as file:
        return _map(local, name, file)


def stored_bytes(path: Location, name: str, kind: str, version: int) -> dict[str, int]:
    """How many bytes of a file each of its datasets takes, by path.

    Raises
    ------
    DamagedFile
    """
    sizes: dict[str, int] = {}

    def visit(key: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes[key] = item.id.get_storage_size()

    with open_file(path, name, kind, version) as file:
        try:
            file.visititems(visit)
        except _READER_ERRORS as error:
            raise DamagedFile(name, f"cannot be read ({error})") from error
    return sizes


def _map(path: Path, name: str, file: h5py.File) -> dict[str, np.ndarray]:
    data = np.memmap(path, np.uint8, "r")  # one mapping, and so one descriptor, for all datasets
    arrays: dict[str, np.ndarray] = {}

    def visit(key: str, item: Any) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.size == 0:
            arrays[key] = np.empty(item.shape, item.dtype)
            return
        offset = None if item.external or item.is_virtual else item.id.get_offset()
        end = (offset or 0) + item.size * item.dtype.itemsize
        if offset is None or end > len(data) or item.dtype.hasobject or item.dtype.kind not in "biufS":
            raise DamagedFile(name, f"does not hold the bytes of {key!r}")
        arrays[key] = np.asarray(data[offset:end]).view(item.dtype).reshape(item.shape)

    try:
        file.visititems(visit)
    except _READER_ERRORS as error:
        raise DamagedFile(name, f"cannot be read ({error})") from error
    return arrays
