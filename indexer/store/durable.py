"""Files on this machine's disk that are either whole or not there.

They are written under a partial name, flushed to disk, then given their own.
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
    """Yield a partial name to write a file or a folder under; ``give_name`` gives it its own when the block ends well.

    Where the block fails, what it wrote is removed.
    """
    # A name of its own for each writer: two of one file do not write into each other's.
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
    """Rename a file; FileExistsError where there is one of that name already."""
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
    """Remove a file or a folder with all it holds; nothing happens where there is none."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Make what is in a file, or the names in a folder, durable."""
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
