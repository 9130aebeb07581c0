"""Files that are either whole or not there: written under a partial name, flushed to disk, then renamed.

A remote file is written on this machine, then uploaded whole.
"""

import hashlib
from contextlib import AbstractContextManager
from pathlib import Path

from indexer.store.storage import Location, storage_at

_BLOCK = 1 << 20


def publishing(path: Location) -> AbstractContextManager[Path]:
    """Yield a partial name to write a file or a folder under; rename it to ``path`` when the block ends well.

    Where the block fails, what it wrote is removed. A file already at ``path`` is replaced.
    """
    return storage_at(path).publishing()


def creating(path: Location) -> AbstractContextManager[Path]:
    """As `publishing`, for a file that several writers may make at once: the first to end wins.

    Raises
    ------
    FileExistsError
        There is one already; it stays as it is.
    """
    return storage_at(path).creating()


def write_bytes(path: Location, data: bytes) -> None:
    """Write a whole file atomically."""
    with publishing(path) as partial:
        partial.write_bytes(data)


def remove(path: Location) -> None:
    """Remove a file or a folder with all it holds; nothing happens where there is none."""
    storage_at(path).remove()


def remove_partial(folder: Location) -> None:
    """Remove what interrupted writers left in a folder."""
    storage_at(folder).remove_partial()


def file_sha256(path: Location) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
