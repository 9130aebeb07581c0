"""A lock on a folder of this machine that the system frees when the process ends, however it ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from indexer.errors import IndexBusy

_LOCK = "lock"


@contextlib.contextmanager
def locking(folder: Path, own_folders: Sequence[str]) -> Iterator[None]:
    """Hold the lock of a folder, which is made if it does not exist.

    A block that fails before it wrote anything leaves the folder as it was. ``own_folders`` are the names of folders
    in it that the block may have made; they are removed if they are empty.

    Raises
    ------
    IndexBusy
        Another process holds the lock.
    """
    made = _missing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(folder, descriptor)
        try:
            yield
        except BaseException:
            _leave_nothing(folder, own_folders, made)
            raise
    finally:
        os.close(descriptor)


def _lock(folder: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(folder / _LOCK)):
            raise FileNotFoundError  # another job failed at once and removed the lock meanwhile
    except (BlockingIOError, FileNotFoundError) as error:
        raise IndexBusy(f"another job is writing {folder}; wait until it has ended") from error


def _missing(folder: Path) -> list[Path]:
    """The folders that do not exist yet, the innermost first."""
    return [each for each in (folder, *folder.parents) if not each.exists()]


def _leave_nothing(folder: Path, own_folders: Sequence[str], made: list[Path]) -> None:
    """Clean up after a job that failed before it wrote anything: remove the lock and the folders that it made."""
    with contextlib.suppress(OSError):
        if {path.name for path in folder.iterdir()} - {_LOCK, *own_folders}:
            return
        for own in (folder / name for name in own_folders):
            if own.exists():
                own.rmdir()  # fails if the folder holds anything
        (folder / _LOCK).unlink()
        for each in made:
            each.rmdir()
