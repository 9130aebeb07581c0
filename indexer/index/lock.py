"""One job at a time writes an index."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import IndexBusy
from indexer.index.layout import DERIVED, SHARDS
from indexer.index.manifest import read_manifest
from indexer.store.lease import leasing
from indexer.store.remote import RemotePath

_LOCK, _LEASE = "lock", "lease.json"


def writing(index: Path | RemotePath, *, new: bool = False) -> contextlib.AbstractContextManager[None]:
    """Hold an index's write lock. The system frees it when the process ends, however it ends.

    Parameters
    ----------
    new : bool
        Whether the folder may hold no index yet. Otherwise it must hold one, and a folder without one stays untouched.

    Raises
    ------
    IndexBusy
        Another process holds it.
    NotAnIndex, DamagedFile
    """
    if isinstance(index, RemotePath):
        return leasing(index / _LEASE)
    if not new:
        read_manifest(index)
    return _locking(index)


@contextlib.contextmanager
def _locking(index: Path) -> Iterator[None]:
    made = _missing(index)
    index.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(index / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _lock(index, descriptor)
        try:
            yield
        except BaseException:
            _leave_nothing(index, made)
            raise
    finally:
        os.close(descriptor)


def _lock(index: Path, descriptor: int) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.samestat(os.fstat(descriptor), os.stat(index / _LOCK)):
            raise FileNotFoundError  # another job failed at once and removed the lock meanwhile
    except (BlockingIOError, FileNotFoundError) as error:
        raise IndexBusy(f"another job is writing {index}; wait until it has ended") from error


def _missing(index: Path) -> list[Path]:
    """The folders that do not exist yet, the innermost first."""
    return [folder for folder in (index, *index.parents) if not folder.exists()]


def _leave_nothing(index: Path, made: list[Path]) -> None:
    """Clean up after a job that failed before it wrote anything: remove the lock and the folders that it made."""
    with contextlib.suppress(OSError):
        if {path.name for path in index.iterdir()} - {_LOCK, SHARDS, DERIVED}:
            return
        for folder in (index / SHARDS, index / DERIVED):
            if folder.exists():
                folder.rmdir()  # fails if the folder holds anything
        (index / _LOCK).unlink()
        for folder in made:
            folder.rmdir()
