"""A lock where there is no file system to free it: an object that its holder writes anew from time to time.

Every write is conditional on the version before, so two cannot take it at once. Whoever finds it held waits for as long
as a living holder could be silent; clocks of two machines are not compared. A holder that was silent for longer, and
lost it, can write and remove nothing any longer (`indexer.store.held`). Nor can it publish: the manifest is written
conditionally as well.
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
from indexer.store import held
from indexer.store.remote import RemotePath

log = logging.getLogger(__name__)

RENEWED_EVERY = 5.0
"""Seconds."""
SILENT_AT_MOST = 20.0
"""Seconds after which a holder that has not renewed its lease is taken for dead."""


@contextlib.contextmanager
def leasing(path: RemotePath) -> Iterator[None]:
    """Hold a lease.

    Where it is lost, the block cannot write or remove anything below the lease's folder any longer: `IndexBusy`.

    Raises
    ------
    IndexBusy
        Another process holds it.
    StorageUnavailable
    """
    lease = _take(path)
    ended = threading.Event()
    keeper = threading.Thread(target=lease.keep, args=(ended,), daemon=True)
    keeper.start()
    try:
        with held.registered(lease):
            yield
    finally:
        ended.set()
        keeper.join()


class _Lease:
    """A lease that this process has taken. Thread-safe."""

    def __init__(self, path: RemotePath, version: str, asked: "_Moment") -> None:
        self._path, self._version = path, version
        self._asked = asked  # when the request was sent with which the lease was renewed last
        self._lost = False
        self._lock = threading.Lock()

    def covers(self, path: RemotePath) -> bool:
        return path != self._path and path.is_relative_to(self._path.parent)

    def confirm(self) -> None:
        # A process that was stopped, as on a laptop that sleeps, goes on before its keeper does.
        with self._lock:
            if self._lost or self._asked.seconds_since() > SILENT_AT_MOST / 2:
                self._renew()

    def keep(self, ended: threading.Event) -> None:
        """Renew the lease until the event, then give it up."""
        while not ended.wait(RENEWED_EVERY):
            try:
                with self._lock:
                    self._renew()
            except StorageUnavailable as error:
                log.warning("%s", error)
            except IndexBusy:
                log.warning("%s was taken by another job: this one was silent for too long", self._path)
                return
        with contextlib.suppress(FileNotFoundError, StorageUnavailable):
            if not self._lost and self._path.stat().version == self._version:
                self._path.unlink()

    def _renew(self) -> None:
        if self._lost:
            raise self._taken()
        asked, holder = _Moment(), _holder()
        try:
            version = self._path.replace(holder, self._version)
        except (FileExistsError, FileNotFoundError) as error:
            ours = self._version_of(holder)
            if ours is None:
                self._lost = True
                raise self._taken() from error
            version = ours
        self._version, self._asked = version, asked

    def _taken(self) -> IndexBusy:
        return IndexBusy(
            f"another job has taken over {self._path.parent}, as this one was silent for more than {SILENT_AT_MOST:g} "
            "seconds; it has changed nothing since: give the command again"
        )

    def _version_of(self, holder: bytes) -> str | None:
        """The lease's version if this was written; a request that is sent again finds what it has written itself."""
        with contextlib.suppress(FileNotFoundError):
            version = self._path.stat().version  # before the content, which may be another's a moment later
            return version if self._path.read_bytes() == holder else None
        return None


class _Moment:
    """Now. Only the wall clock goes on while a machine sleeps; only the other one is never set back."""

    def __init__(self) -> None:
        self._wall, self._steady = time.time(), time.monotonic()

    def seconds_since(self) -> float:
        return max(time.time() - self._wall, time.monotonic() - self._steady)


def _take(path: RemotePath) -> _Lease:
    asked = _Moment()
    with contextlib.suppress(FileExistsError):
        return _Lease(path, path.create(_holder()), asked)
    try:
        found, holder = path.stat().version, json.loads(path.read_bytes())
        time.sleep(SILENT_AT_MOST)
        if path.stat().version == found:
            asked = _Moment()
            return _Lease(path, path.replace(_holder(), found), asked)
    except (FileNotFoundError, FileExistsError):
        holder = {}
    raise IndexBusy(
        f"another job is writing {path.parent}, process {holder.get('process', '?')} on {holder.get('host', '?')}; "
        "wait until it has ended"
    )


def _holder() -> bytes:
    return json.dumps({"host": socket.gethostname(), "process": os.getpid(), "at": time.time_ns()}).encode()
