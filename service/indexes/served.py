"""The catalog of a service, as its settings say."""

from functools import partial
from pathlib import Path

import indexer
from indexer.store.cache import Cache
from indexer.store.storage import storage_at
from service.indexes.catalog import Catalog
from service.indexes.quarantine import Examined
from service.indexes.served_index import OpenIndex
from service.settings import Settings


def catalog_of(settings: Settings, shared: Path | None) -> Catalog:
    """All indexes that a service serves; none is opened yet.

    Parameters
    ----------
    shared : Path, optional
        A folder that the processes of this service share, and nobody else.
    """
    open_index: OpenIndex = partial(indexer.open, images=settings.images)
    if settings.examine:
        open_index = Examined(open_index, shared)
    # Copies of remote files lie where the settings of this service say.
    directory = storage_at(settings.directory).copied_to(Cache(settings.cache, settings.cache_bytes))
    return Catalog(directory, open_index, settings.check_seconds)
