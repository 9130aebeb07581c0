"""Files that are either whole or not there: written under a partial name, flushed to disk, then renamed.

A remote file is written on this machine, then uploaded whole.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from indexer.store.remote import RemotePath

PARTIAL_SUFFIX = ".partial"
LARGEST_PUT = 1 << 30
"""Most bytes of a remote file that are written in one request; it is in memory meanwhile, and S3 takes at most 5 GB."""
_BLOCK = 1 << 20


def publishing(path: Path | RemotePath) -> contextlib.AbstractContextManager[Path]:
    """Yield a partial name to write a file or a folder under; rename it to ``path`` when the block ends well.

    Where the block fails, what it wrote is removed. A file already at ``path`` is replaced.
    """
    return _uploaded(path, _upload) if isinstance(path, RemotePath) else _published(path, os.replace)


def creating(path: Path | RemotePath) -> contextlib.AbstractContextManager[Path]:
    """As `publishing`, for a file that several writers may make at once: the first to end wins.

    Raises
    ------
    FileExistsError
        There is one already; it stays as it is.
    """
    return _uploaded(path, _upload_new) if isinstance(path, RemotePath) else _published(path, _link)


@contextlib.contextmanager
def _published(path: Path, place: Callable[[Path, Path], None]) -> Iterator[Path]:
    # A name of its own for each writer: two of one file do not write into each other's.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        yield partial
        _flush_tree(partial)
        place(partial, path)
        flush(path.parent)
    except BaseException:
        remove(partial)
        raise


@contextlib.contextmanager
def _uploaded(path: RemotePath, place: Callable[[Path, RemotePath], None]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="unitscope-") as folder:
        partial = Path(folder) / path.name
        yield partial
        place(partial, path)


def _upload(partial: Path, path: RemotePath) -> None:
    # The files of a folder appear one by one; nobody looks for them before the manifest says so.
    for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
        (path / file.name if partial.is_dir() else path).upload(file)


def _upload_new(partial: Path, path: RemotePath) -> None:
    if partial.stat().st_size <= LARGEST_PUT:
        path.create(partial.read_bytes())
    elif path.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    else:  # in parts, which cannot depend on what is there: of two that end at once, the last stays
        path.upload(partial)


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


def write_bytes(path: Path | RemotePath, data: bytes) -> None:
    """Write a whole file atomically."""
    with publishing(path) as partial:
        partial.write_bytes(data)


def remove(path: Path | RemotePath) -> None:
    """Remove a file or a folder with all it holds; nothing happens where there is none."""
    if isinstance(path, RemotePath):
        path.remove_all()
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def move(path: Path | RemotePath, to: Path | RemotePath) -> None:
    """Give a file another name, beside the one it has."""
    if isinstance(path, RemotePath):
        with publishing(to) as partial:
            path.download(partial)
        path.unlink()
    else:
        os.replace(path, to)


def remove_partial(folder: Path | RemotePath) -> None:
    """Remove what interrupted writers left in a folder."""
    if not isinstance(folder, RemotePath) and folder.is_dir():
        for path in folder.glob(f"*{PARTIAL_SUFFIX}"):
            remove(path)


def file_sha256(path: Path | RemotePath) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _flush_tree(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _flush_tree(child)
    flush(path)


def flush(path: Path) -> None:
    """Make what is in a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
