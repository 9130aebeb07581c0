"""Writes files and folders of this machine's disk so that each is either whole or absent.

It is written under a partial name, flushed to disk, then renamed.
"""

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

PARTIAL_SUFFIX = ".partial"


@contextlib.contextmanager
def writing(path: Path, give_name: Callable[[Path, Path], None]) -> Iterator[Path]:
    """Yield a partial name to write a file or a folder under; when the block ends well, ``give_name`` renames it.

    If the block fails, the partial file or folder is removed.
    """
    # Each writer has a partial name of its own, so two writers of one file do not disturb each other.
    partial = path.with_name(f"{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        yield partial
        _flush_tree(partial)
        give_name(partial, path)
        flush(path.parent)
    except BaseException:
        remove(partial)
        raise


def rename_new(partial: Path, path: Path) -> None:
    """Rename a file; FileExistsError if a file of that name exists."""
    try:
        os.link(partial, path)
        os.unlink(partial)
    except FileExistsError:
        raise
    except OSError as error:  # a file system without hard links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from error
        os.replace(partial, path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all its files; nothing happens if neither exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make the content of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_tree(path: Path) -> None:
    if path.is_dir():
        for child in path.iterdir():
            _flush_tree(child)
    flush(path)
