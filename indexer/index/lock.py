"""One job at a time writes an index."""

from contextlib import AbstractContextManager

from indexer.index.layout import DERIVED, SHARDS
from indexer.index.manifest import read_manifest
from indexer.store.storage import Location, storage_at


def writing(index: Location, *, new: bool = False) -> AbstractContextManager[None]:
    """Hold an index's write lock. The system frees it when the process ends, however it ends.

    Parameters
    ----------
    new : bool
        Whether the folder may hold no index of today's format yet. Otherwise it must hold one, and a folder without one
        stays untouched.

    Raises
    ------
    IndexBusy
        Another process holds it.
    NotAnIndex, DamagedFile
    """
    if not new:
        read_manifest(index)
    return storage_at(index).locking((SHARDS, DERIVED))
