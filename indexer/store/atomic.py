"""Files that are either whole or not there: written under a partial name, flushed to disk, then renamed."""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

PARTIAL_SUFFIX = ".partial"
_BLOCK = 1 << 20


def publishing(path: Path) -> contextlib.AbstractContextManager[Path]:
    """Yield a partial name to write a file or a folder under; rename it to ``path`` when the block ends well.

    Where the block fails, what it wrote is removed. A file already at ``path`` is replaced.
    """
    return _published(path, os.replace)


def creating(path: Path) -> contextlib.AbstractContextManager[Path]:
    """As `publishing`, for a file that several writers may make at once: the first to end wins.

    Raises
    ------
    FileExistsError
        There is one already; it stays as it is.
    """
    return _published(path, _link)


@contextlib.contextmanager
def _published(path: Path, place: Callable[[Path, Path], None]) -> Iterator[Path]:
    # A name of its own for each writer: two of one file do not write into each other's.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        yield partial
        _flush_tree(partial)
        place(partial, path)
        flush_folder(path.parent)
    except BaseException:
        remove(partial)
        raise


def _link(partial: Path, path: Path) -> None:
    try:
        os.link(partial, path)
        os.unlink(partial)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.replace(partial, path)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with publishing(path) as partial:
        partial.write_bytes(data)


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_partial(folder: Path) -> None:
    """Remove what interrupted writers left in a folder."""
    if folder.is_dir():
        for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
            remove(path)


def file_sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def flush_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _flush(folder)


def _flush_tree(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _flush_tree(child)
    _flush(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
