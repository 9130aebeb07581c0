"""The leases that this process holds. Nothing is written below a folder whose lease it may have lost.

1. `indexer.store.lease.leasing` registers a lease for as long as a job holds it: ``with registered(lease): ...``.
2. Every write to a bucket, and every removal, asks first: ``check(path)`` (`indexer.store.remote`).

The other processes of a job, which hold no lease, only create files.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from indexer.store.remote import RemotePath


class Held(Protocol):
    """A lease that a job of this process holds."""

    def covers(self, path: "RemotePath") -> bool:
        """Whether the lease is that of a folder which holds this file."""

    def confirm(self) -> None:
        """Make sure that the lease is held still.

        Raises
        ------
        IndexBusy
            Another job has taken it.
        StorageUnavailable
        """


_leases: list[Held] = []


@contextlib.contextmanager
def registered(lease: Held) -> Iterator[None]:
    """Have a lease asked before files below its folder are written."""
    _leases.append(lease)
    try:
        yield
    finally:
        _leases.remove(lease)


def check(path: "RemotePath") -> None:
    """Refuse to write or remove a file whose folder another job may be writing.

    Raises
    ------
    IndexBusy, StorageUnavailable
    """
    for lease in [*_leases]:
        if lease.covers(path):
            lease.confirm()
