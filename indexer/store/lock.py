"""One job at a time writes an index."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import IndexBusy


@contextlib.contextmanager
def writing(index: Path) -> Iterator[None]:
    """Hold an index's write lock; the system frees it when the process ends, however it ends.

    Raises
    ------
    IndexBusy
        Another process holds it.
    """
    index.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(index / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise IndexBusy(f"another job is writing {index}; wait until it has ended") from error
    try:
        yield
    finally:
        os.close(descriptor)
