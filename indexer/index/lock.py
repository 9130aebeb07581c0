"""One job at a time writes an index."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import IndexBusy
from indexer.index.manifest import read_manifest
from indexer.store.lease import leasing
from indexer.store.remote import RemotePath

_LOCK, _LEASE = "lock", "lease.json"


def writing(index: Path | RemotePath, *, new: bool = False) -> contextlib.AbstractContextManager[None]:
    """Hold an index's write lock; it becomes free when the process ends, however it ends.

    Parameters
    ----------
    new : bool
        There need not be an index yet. Else nothing is left in a folder that is none.

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
    index.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(index / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise IndexBusy(f"another job is writing {index}; wait until it has ended") from error
    try:
        yield
    finally:
        os.close(descriptor)
