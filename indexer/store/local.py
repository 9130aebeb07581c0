"""`indexer.store.storage.Storage` for this machine's disk."""

import contextlib
import errno
import os
import posixpath
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.store import durable, walk
from indexer.store.file_lock import locking
from indexer.store.refusals import NotRegular, TooLarge

if TYPE_CHECKING:
    from indexer.store.cache import Cache


@dataclass(frozen=True, slots=True)
class LocalStorage:
    """A file or a folder of this machine."""

    path: Path

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, most: int) -> bytes:
        with open(self.path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise NotRegular(errno.EINVAL, "not a regular file", str(self.path))
            if status.st_size > most:
                raise TooLarge(status.st_size, most)
            return file.read()  # with a size, Python would allocate that many bytes at once

    def read_range(self, size: int, offset: int) -> bytes:
        with self.ranges() as read_range:
            return read_range(size, offset)

    @contextlib.contextmanager
    def ranges(self) -> Iterator[Callable[[int, int], bytes]]:
        with self.path.open("rb") as file:
            yield partial(os.pread, file.fileno())

    def readable(self) -> Path:
        return self.path

    def local_file(self, name: str) -> Path:
        return self.path

    @contextlib.contextmanager
    def sharing(self, file: Path) -> Iterator[Path]:
        yield file

    def copied_to(self, copies: "Cache") -> Path:
        return self.path

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def costs_requests(self) -> bool:
        return False

    def fingerprint(self) -> tuple[object, ...]:
        status = self.path.stat()
        return status.st_mtime_ns, status.st_ino, status.st_size

    def identity(self) -> int:
        return self.path.stat().st_ino

    def is_irregular(self) -> bool:
        return not self.path.is_file() and self.path.exists()

    def is_lost_folder(self) -> bool:
        return not self.path.is_dir()

    def is_unmounted(self) -> bool:
        return not (self.path.is_dir() and any(self.path.iterdir()))

    def files(self) -> Iterator[walk.Entry]:
        return walk.files(self.path)

    def files_through_links(self) -> Iterator[walk.Entry]:
        return walk.files_through_links(self.path)

    def links(self, paths: Sequence[str]) -> Iterator[tuple[str, walk.Link]]:
        return walk.links(self.path, paths)

    # -- names ----------------------------------------------------------------------------------------------------

    def absolute_name(self) -> str:
        return os.path.abspath(self.path)

    def relative_name(self, name: str) -> str | None:
        if not name.startswith("/"):
            return name
        folder, file = posixpath.split(name)
        for above in (
            folder,
            os.path.realpath(folder),
        ):  # the root is resolved; the path in a list may go through links
            if Path(above).is_relative_to(self.path):
                return str(Path(above).relative_to(self.path) / file)
        return None

    def inside(self, name: str) -> Path | None:
        path = (self.path / name).resolve()
        return path if path.is_relative_to(self.path) else None

    def inside_through_links(self, name: str) -> Path | None:
        path = self.path / name
        return path.resolve() if Path(os.path.normpath(path)).is_relative_to(self.path) else None

    # -- writing --------------------------------------------------------------------------------------------------

    def publishing(self) -> contextlib.AbstractContextManager[Path]:
        return durable.writing(self.path, os.replace)

    def creating(self) -> contextlib.AbstractContextManager[Path]:
        return durable.writing(self.path, durable.rename_new)

    def replace_if(self, data: bytes, comes_next: Callable[[], bool]) -> None:
        with self.publishing() as partial_file:
            partial_file.write_bytes(data)

    def rename(self, name: str) -> None:
        os.replace(self.path, self.path.with_name(name))

    def remove(self) -> None:
        durable.remove(self.path)

    def remove_partial(self) -> None:
        if self.path.is_dir():
            for path in self.path.glob(f"*{durable.PARTIAL_SUFFIX}"):
                durable.remove(path)

    def locking(self, own_folders: Sequence[str]) -> contextlib.AbstractContextManager[None]:
        return locking(self.path, own_folders)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
