"""`indexer.store.storage.Storage` for buckets, and for wherever else fsspec leads."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from indexer.errors import DamagedFile
from indexer.store import cache
from indexer.store.lease import leasing
from indexer.store.refusals import TooLarge
from indexer.store.remote import RemotePath
from indexer.store.walk import Entry, Link

LARGEST_PUT = 1 << 30
"""Most bytes of a remote file that are written in one request; it is in memory meanwhile, and S3 takes at most 5 GB."""
_LEASE = "lease.json"


@dataclass(frozen=True, slots=True)
class RemoteStorage:
    """A remote file or folder. Folders are only names with slashes, and there are no links."""

    path: RemotePath

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, most: int) -> bytes:
        size = self.path.stat().st_size
        if size > most:
            raise TooLarge(size, most)
        return self.path.read_bytes()

    def read_range(self, size: int, offset: int) -> bytes:
        return self.path.read_range(size, offset)

    def ranges(self) -> contextlib.AbstractContextManager[Callable[[int, int], bytes]]:
        return contextlib.nullcontext(self.path.read_range)

    def readable(self) -> IO[bytes]:
        return self.path.open("rb")

    def local_file(self, name: str) -> Path:
        try:
            return (self.path.copies or cache.default()).copy_of(self.path)
        except FileNotFoundError as error:
            raise DamagedFile(name, "is missing") from error

    @contextlib.contextmanager
    def sharing(self, file: Path) -> Iterator[RemotePath]:
        copy = self.path / f"{file.name}.{secrets.token_hex(4)}"  # workers remember what they read by its name
        copy.upload(file)
        try:
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def copied_to(self, copies: cache.Cache) -> RemotePath:
        return self.path.copied_to(copies)

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def costs_requests(self) -> bool:
        return True

    def fingerprint(self) -> tuple[object, ...]:
        return (self.path.stat().version,)

    def identity(self) -> int:
        return 0

    def is_irregular(self) -> bool:
        return False

    def is_lost_folder(self) -> bool:
        return False

    def is_unmounted(self) -> bool:
        return False

    def files(self) -> Iterator[Entry]:
        for path in self.path.files():
            if not any(part.startswith(".") for part in path.parts):
                yield Entry(path)

    def files_through_links(self) -> Iterator[Entry]:
        return self.files()

    def links(self, paths: Sequence[str]) -> Iterator[tuple[str, Link]]:
        return iter(())

    # -- names ----------------------------------------------------------------------------------------------------

    def absolute_name(self) -> str:
        return str(self.path)

    def relative_name(self, name: str) -> str | None:
        if "://" in name:
            start = f"{self.path}/"
            return name[len(start) :] if name.startswith(start) else None
        return None if name.startswith("/") else name

    def inside(self, name: str) -> RemotePath | None:
        path = self.path / name
        return path if path.is_relative_to(self.path) else None

    def inside_through_links(self, name: str) -> RemotePath | None:
        return self.inside(name)

    # -- writing --------------------------------------------------------------------------------------------------

    def publishing(self) -> contextlib.AbstractContextManager[Path]:
        return _uploading(self.path, _upload)

    def creating(self) -> contextlib.AbstractContextManager[Path]:
        return _uploading(self.path, _upload_new)

    def replace_if(self, data: bytes, comes_next: Callable[[], bool]) -> None:
        version = self.path.stat().version if self.path.exists() else None
        if not comes_next():
            raise _is_there(self.path)
        if version is None:
            self.path.create(data)
        else:
            self.path.replace(data, version)

    def rename(self, name: str) -> None:
        with _uploading(self.path.parent / name, _upload) as partial:
            self.path.download(partial)
        self.path.unlink()

    def remove(self) -> None:
        self.path.remove_all()

    def remove_partial(self) -> None:
        """Interrupted writers leave nothing in a bucket: a file appears there when it is whole."""

    def locking(self, own_folders: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        return leasing(self.path / _LEASE)


@contextlib.contextmanager
def _uploading(path: RemotePath, send: Callable[[Path, RemotePath], None]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="unitscope-") as folder:
        partial = Path(folder) / path.name
        yield partial
        send(partial, path)


def _upload(partial: Path, path: RemotePath) -> None:
    # The files of a folder appear one by one; nobody looks for them before the manifest says so.
    for file in sorted(partial.iterdir()) if partial.is_dir() else [partial]:
        (path / file.name if partial.is_dir() else path).upload(file)


def _upload_new(partial: Path, path: RemotePath) -> None:
    if partial.stat().st_size <= LARGEST_PUT:
        path.create(partial.read_bytes())
    elif path.exists():
        raise _is_there(path)
    else:  # in parts, which cannot depend on what is there: of two that end at once, the last stays
        path.upload(partial)


def _is_there(path: RemotePath) -> FileExistsError:
    return FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
