"""Copies of remote files on this machine's disk, of which there are at most so many bytes.

A copy is named by its URL and version, so it never is another file than the one there. The copies that were asked for
the longest ago go first; one that is mapped at that time stays readable until it is no longer.
"""

import hashlib
import os
import tempfile
import threading
from pathlib import Path

from indexer.errors import DamagedFile, StorageUnavailable
from indexer.store import atomic
from indexer.store.remote import RemotePath

DIRECTORY = Path(tempfile.gettempdir()) / f"unitscope-cache-{os.getuid()}"
MAX_BYTES = 32 << 30


class Cache:
    """A folder of copies; several processes may share it."""

    def __init__(self, directory: Path = DIRECTORY, max_bytes: int = MAX_BYTES) -> None:
        self.directory, self.max_bytes = directory, max_bytes
        self._lock = threading.Lock()

    def copy_of(self, remote: RemotePath) -> Path:
        """The copy of a remote file, downloaded if it is not there.

        Raises
        ------
        FileNotFoundError, StorageUnavailable
        """
        status = remote.stat()
        if status.st_size > self.max_bytes:
            raise StorageUnavailable(
                f"{remote.name} has {status.st_size} bytes, and copies may have {self.max_bytes}: allow the cache more"
            )
        name = hashlib.sha256(f"{remote}\0{status.version}".encode()).hexdigest()
        copy = self.directory / f"{name}{remote.suffix}"
        with self._lock:
            try:
                os.utime(copy)
            except FileNotFoundError:
                self._make_room(status.st_size)
                with atomic.publishing(copy) as partial:
                    remote.download(partial)
            return copy

    def _make_room(self, wanted: int) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        copies = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in self.directory.iterdir())
        total = wanted + sum(size for _, size, _ in copies)
        for _, size, path in copies:
            if total <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= size


_cache = Cache()


def use(directory: Path | None, max_bytes: int) -> None:
    """Say where copies of this process are kept, by default in a folder for temporary files, and how many bytes."""
    global _cache
    _cache = Cache(directory or DIRECTORY, max_bytes)


def local(path: Path | RemotePath, name: str) -> Path:
    """A file on this machine with the content of ``path``: itself, if it is here; ``name`` is what errors call it.

    Raises
    ------
    DamagedFile
        A remote file is missing.
    StorageUnavailable
    """
    if not isinstance(path, RemotePath):
        return path
    try:
        return _cache.copy_of(path)
    except FileNotFoundError as error:
        raise DamagedFile(name, "is missing") from error
