"""Copies of remote files on this machine's disk, of which there are at most so many bytes.

A copy is named by its URL and version, so it never is another file than the one there. The copies that were asked for
the longest ago go first; one that is mapped at that time stays readable until it is no longer.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from indexer.errors import StorageUnavailable
from indexer.store import durable
from indexer.store.private import is_private
from indexer.store.remote import RemotePath

DIRECTORY = Path(tempfile.gettempdir()) / f"unitscope-cache-{os.getuid()}"
MAX_BYTES = 32 << 30
_LOCK = "lock-"
_OWN = re.compile(r"[0-9a-f]{64}(\..*)?")
"""The names of copies and of what becomes one; whatever else lies in a folder that a person named is not ours."""
_STALE_SECONDS = 3600
"""A partial file that nobody has written to for so long is one that a process which ended has left."""


class Cache:
    """A folder of copies; several processes may share it. The default one must be this user's alone."""

    def __init__(self, directory: Path | None = None, max_bytes: int = MAX_BYTES) -> None:
        self.directory, self.max_bytes = directory or DIRECTORY, max_bytes
        self._is_default = directory is None
        self._lock = threading.Lock()  # held for moments: to look, never to download
        self._downloads: dict[str, _Download] = {}

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
        self._make_directory()
        if not _is_there(copy):
            with self._only(copy.name, status.st_size), self._alone(name):
                self._download(remote, copy, status.st_size)
        return copy

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.directory.mkdir(mode=0o700, parents=True)
        if self._is_default:
            _check_own(self.directory)

    @contextlib.contextmanager
    def _only(self, name: str, size: int) -> Iterator[None]:
        """Keep other threads from downloading the same, and from using the room that it will take."""
        with self._lock:
            download = self._downloads.setdefault(name, _Download(size))
            download.threads += 1
        try:
            with download.lock:
                yield
        finally:
            with self._lock:
                download.threads -= 1
                if not download.threads:
                    del self._downloads[name]

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Keep other processes from downloading the same."""
        path = self.directory / f"{_LOCK}{name}"
        with contextlib.ExitStack() as held:
            while True:
                lock = held.enter_context(path.open("w"))
                fcntl.flock(lock, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(path.stat(), os.fstat(lock.fileno())):
                        break
                held.close()  # whoever had it has removed it; another has made it anew, or this one does
            try:
                yield
            finally:
                path.unlink(missing_ok=True)

    def _download(self, remote: RemotePath, copy: Path, size: int) -> None:
        if not _is_there(copy):  # another process may just have brought it
            with self._lock:
                self._make_room(size + self._coming(copy.name))
            with durable.writing(copy, os.replace) as partial:
                remote.download(partial)

    def _coming(self, name: str) -> int:
        """Bytes that other downloads of this process will take; what is there of them already counts twice."""
        return sum(each.size for other, each in self._downloads.items() if other != name)

    def _make_room(self, wanted: int) -> None:
        files = sorted(self._files())
        total = wanted + sum(size for _, size, _ in files)
        for changed, size, path in files:
            if total <= self.max_bytes:
                return
            if path.suffix != durable.PARTIAL_SUFFIX or time.time() - changed > _STALE_SECONDS:
                path.unlink(missing_ok=True)
                total -= size

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """When each copy was last used or written to, its size, and where it is."""
        with os.scandir(self.directory) as entries:
            for entry in entries:
                if not _OWN.fullmatch(entry.name):
                    continue
                with contextlib.suppress(FileNotFoundError):  # other processes rename and remove files
                    status = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(status.st_mode):
                        yield status.st_mtime, status.st_size, Path(entry.path)


class _Download:
    """A download, and how many threads wait for it or carry it out."""

    def __init__(self, size: int) -> None:
        self.size, self.threads, self.lock = size, 0, threading.Lock()


def _is_there(copy: Path) -> bool:
    try:
        os.utime(copy)
    except FileNotFoundError:
        return False
    return True


def _check_own(directory: Path) -> None:
    if not is_private(directory):
        raise StorageUnavailable(
            f"{directory.name}, in the folder for temporary files, is not a folder that only this user can write to: "
            "remove it, or choose another folder for copies"
        )


_cache = Cache()
"""For paths that name no other; see `RemotePath.copied_to`."""


def use(directory: Path | None, max_bytes: int) -> None:
    """Say where copies are kept of paths that name no other place, and how many bytes of them."""
    global _cache
    _cache = Cache(directory, max_bytes)


def default() -> Cache:
    """Where copies are kept of paths that name no other place."""
    return _cache
