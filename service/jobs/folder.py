"""Where the results of jobs lie."""

import errno
import hashlib
import os
import tempfile
from pathlib import Path

from indexer.store.private import is_private
from indexer.store.storage import storage_at
from service.access.addresses import is_loopback
from service.settings import Settings


def results_folder(settings: Settings) -> Path | None:
    """The folder that the settings name, or else a cache folder, if only this machine can reach the service.

    The cache folder is one for each folder of indexes. It may go whenever the folder for temporary files is emptied.
    """
    if settings.results is not None:
        return settings.results
    if settings.host.lower() != "localhost" and not is_loopback(settings.host):
        return None
    served = storage_at(settings.directory).absolute_name()
    name = hashlib.sha256(served.encode(errors="surrogateescape")).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"unitscope-results-{os.getuid()}" / name


def check_own(root: Path, settings: Settings) -> None:
    """Make the cache folder, or refuse it if somebody else can write to it.

    Raises
    ------
    PermissionError
    """
    if settings.results is not None:
        return
    root.parent.mkdir(mode=0o700, exist_ok=True)
    if not is_private(root.parent):
        raise PermissionError(
            errno.EPERM, f"{root.parent.name} in the folder for temporary files is not this user's alone"
        )
