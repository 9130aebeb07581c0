"""A lock where there is no file system to free it: an object that its holder writes anew from time to time.

Every write is conditional on the version before, so two cannot take it at once. Whoever finds it held waits for as long
as a living holder could be silent; no clocks are compared. A holder that was silent for longer, and lost it, cannot
publish: the manifest is written conditionally as well.
"""

import contextlib
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

from indexer.errors import IndexBusy, StorageUnavailable
from indexer.store.remote import RemotePath

log = logging.getLogger(__name__)

RENEWED_EVERY = 5.0
"""Seconds."""
SILENT_AT_MOST = 20.0
"""Seconds after which a holder that has not renewed its lease is taken for dead."""


@contextlib.contextmanager
def leasing(path: RemotePath) -> Iterator[None]:
    """Hold a lease.

    Raises
    ------
    IndexBusy
        Another process holds it.
    StorageUnavailable
    """
    version = _take(path)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(path, version, ended), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _take(path: RemotePath) -> str:
    with contextlib.suppress(FileExistsError):
        return path.create(_holder())
    try:
        found, holder = path.stat().version, json.loads(path.read_bytes())
        time.sleep(SILENT_AT_MOST)
        if path.stat().version == found:
            return path.replace(_holder(), found)
    except (FileNotFoundError, FileExistsError):
        holder = {}
    raise IndexBusy(
        f"another job is writing {path.parent}, process {holder.get('process', '?')} on {holder.get('host', '?')}; "
        "wait until it has ended"
    )


def _keep(path: RemotePath, version: str, ended: threading.Event) -> None:
    while not ended.wait(RENEWED_EVERY):
        try:
            version = path.replace(_holder(), version)
        except StorageUnavailable as error:
            log.warning("%s", error)
        except FileExistsError:
            log.warning("%s was taken by another job: this one was silent for too long", path)
            return
    with contextlib.suppress(FileNotFoundError, StorageUnavailable):
        if path.stat().version == version:
            path.unlink()


def _holder() -> bytes:
    return json.dumps({"host": socket.gethostname(), "process": os.getpid(), "at": time.time_ns()}).encode()
