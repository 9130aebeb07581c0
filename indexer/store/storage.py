"""One interface to files and folders, on this machine's disk and in buckets.

`storage_at` gives it for a path and for a URL alike. Callers say what they want; only this package knows which of the
two a location is.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Protocol

from indexer.store.local import LocalStorage
from indexer.store.remote import RemotePath
from indexer.store.remote_storage import RemoteStorage
from indexer.store.walk import Entry, Link

if TYPE_CHECKING:
    from indexer.store.cache import Cache

Location = Path | RemotePath
"""The place of a file or a folder."""
ReadRange = Callable[[int, int], bytes]
"""Reads a size at an offset, like `os.pread` without its descriptor; fewer bytes at the end of the file."""


class Storage(Protocol):
    """A file or a folder.

    Every method may raise OSError, and `indexer.errors.StorageUnavailable` if a bucket does not answer or refuses.
    """

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, most: int) -> bytes:
        """The whole of a file.

        Raises
        ------
        NotRegular, TooLarge
            The file is a pipe or a device, or has more than ``most`` bytes; see `indexer.store.refusals`.
        """

    def read_range(self, size: int, offset: int) -> bytes:
        """Part of a file; see `ReadRange`."""

    def ranges(self) -> AbstractContextManager[ReadRange]:
        """Reads parts of a file that stays open for the block; from any thread."""

    def readable(self) -> Path | IO[bytes]:
        """The argument with which a library opens a file to read only parts of it: a path, or an open file."""

    def local_file(self, name: str) -> Path:
        """A file on this machine with the same content: the file itself, or a copy. Errors call it ``name``.

        Raises
        ------
        DamagedFile
            A remote file is missing.
        """

    def sharing(self, file: Path) -> AbstractContextManager[Location]:
        """Where workers that reach this folder find ``file``: at its own path, or in a copy that the block keeps."""

    def copied_to(self, copies: "Cache") -> Location:
        """The same location; files below it that are copied to this machine are copied there."""

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def costs_requests(self) -> bool:
        """Whether each look at a file is a request over the network, so that callers should look at few."""

    def fingerprint(self) -> tuple[object, ...]:
        """Values that change when a file is written again; FileNotFoundError."""

    def identity(self) -> int:
        """A number that changes when another folder is put at this path; in a bucket always 0, as folders are names."""

    def is_irregular(self) -> bool:
        """Whether a folder, a pipe or a device stands where a file should be."""

    def is_lost_folder(self) -> bool:
        """Whether a folder is gone; in a bucket, where folders are names, never."""

    def is_unmounted(self) -> bool:
        """Whether a folder is gone or empty, as if a disk were not mounted; in a bucket never."""

    def files(self) -> Iterator[Entry]:
        """Every file below a folder. Links are not followed, and names that begin with a dot are passed over."""

    def files_through_links(self) -> Iterator[Entry]:
        """As `files`, and below the folders that links lead to."""

    def links(self, paths: Sequence[str]) -> Iterator[tuple[str, Link]]:
        """The paths below this folder that are links to a folder, or that a link puts outside of it."""

    # -- names ----------------------------------------------------------------------------------------------------

    def absolute_name(self) -> str:
        """An absolute path or a URL."""

    def relative_name(self, name: str) -> str | None:
        """A name relative to this resolved folder; None for an absolute name outside of it."""

    def inside(self, name: str) -> Location | None:
        """The location of a name below this resolved folder; None if the name or a link leads out of it."""

    def inside_through_links(self, name: str) -> Location | None:
        """As `inside`, but links may lead out."""

    # -- writing --------------------------------------------------------------------------------------------------

    def publishing(self) -> AbstractContextManager[Path]:
        """See `indexer.store.atomic.publishing`."""

    def creating(self) -> AbstractContextManager[Path]:
        """See `indexer.store.atomic.creating`."""

    def replace_if(self, data: bytes, comes_next: Callable[[], bool]) -> None:
        """Write a whole file, unless another job has written it meanwhile.

        On a disk, the lock keeps other jobs out (`locking`), so the file is written at once. In a bucket,
        ``comes_next`` looks at the current file and says whether ``data`` may replace it; then exactly that version
        is replaced.

        Raises
        ------
        FileExistsError
            ``comes_next`` refuses, or the file has changed since it was asked.
        """

    def rename(self, name: str) -> None:
        """Give a file another name in its folder."""

    def remove(self) -> None:
        """Remove a file, or a folder with all its files; nothing happens if neither exists."""

    def remove_partial(self) -> None:
        """Remove the partial files that interrupted writers left in a folder."""

    def locking(self, own_folders: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the lock of a folder.

        A block that fails before it wrote anything leaves no trace; ``own_folders`` are the names of folders in it that
        the block may have made.

        Raises
        ------
        IndexBusy
            Another process holds the lock.
        """


def storage_at(location: Location) -> Storage:
    """The storage of a file or a folder. Nothing is read yet."""
    return RemoteStorage(location) if isinstance(location, RemotePath) else LocalStorage(location)
