"""One job at a time writes an index."""

from contextlib import AbstractContextManager

from indexer.index.layout import DERIVED, SHARDS
from indexer.index.manifest import read_manifest
from indexer.store.storage import Location, storage_at


def writing(index: Location, *, new: bool = False) -> AbstractContextManager[None]:
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
    if not new:
        read_manifest(index)
    return storage_at(index).locking((SHARDS, DERIVED))
