"""What a file or a folder can be asked for, wherever it is.

`storage_at` gives it for a folder or a file of this machine and for one in a bucket. Callers say what they want; which
kind it is, only this package knows.
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
"""Where a file or a folder is."""
ReadRange = Callable[[int, int], bytes]
"""As `os.pread` without the descriptor: gives the bytes of a size at an offset, fewer at the end of the file."""


class Storage(Protocol):
    """A file or a folder.

    Every method may raise OSError, and `indexer.errors.StorageUnavailable` where a bucket does not answer or refuses.
    """

    # -- reading --------------------------------------------------------------------------------------------------

    def read(self, most: int) -> bytes:
        """The whole of a file.

        Raises
        ------
        NotRegular, TooLarge
            It is not a file, or has more than ``most`` bytes; see `indexer.store.refusals`.
        """

    def read_range(self, size: int, offset: int) -> bytes:
        """A part of a file."""

    def ranges(self) -> AbstractContextManager[ReadRange]:
        """Parts of a file, as many as are wanted, from any thread."""

    def readable(self) -> Path | IO[bytes]:
        """What a library that reads only parts of a file can open at the least cost."""

    def local_file(self, name: str) -> Path:
        """A file on this machine with the same content: itself, or a copy; ``name`` is what errors call it.

        Raises
        ------
        DamagedFile
            A remote file is missing.
        """

    def sharing(self, file: Path) -> AbstractContextManager[Location]:
        """Where other machines that reach this folder find a file of this one: where it is, or a copy for as long."""

    def copied_to(self, copies: "Cache") -> Location:
        """The same location; files below it that are copied to this machine go there."""

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def costs_requests(self) -> bool:
        """Whether each look at a file is a request, so that a caller does better with few."""

    def fingerprint(self) -> tuple[object, ...]:
        """Values that are others once a file has been written again; FileNotFoundError."""

    def identity(self) -> int:
        """A number that another folder put at this path does not have; always the same where folders are only names."""

    def is_irregular(self) -> bool:
        """Whether what is there is not a file but a folder, a pipe or a device, which may never end."""

    def is_lost_folder(self) -> bool:
        """Whether a folder is gone; never where folders are only names."""

    def is_unmounted(self) -> bool:
        """Whether a folder is gone or empty, as where a disk is not mounted; never where folders are only names."""

    def files(self) -> Iterator[Entry]:
        """Every file below a folder, but those whose path has a name that begins with a dot. Links are not followed."""

    def files_through_links(self) -> Iterator[Entry]:
        """As `files`; links are followed, wherever they lead."""

    def links(self, paths: Sequence[str]) -> Iterator[tuple[str, Link]]:
        """Those of some paths below a folder that are links to a folder, or lead out of it through a link."""

    # -- names ----------------------------------------------------------------------------------------------------

    def absolute_name(self) -> str:
        """A name that leads here from any working directory: a path or a URL."""

    def relative_name(self, name: str) -> str | None:
        """A name, relative to this folder, which is resolved; None for an absolute name that is elsewhere."""

    def inside(self, name: str) -> Location | None:
        """A path below this folder, which is resolved; None where it leads out, by its name or by a link."""

    def inside_through_links(self, name: str) -> Location | None:
        """As `inside`, but links may lead out."""

    # -- writing --------------------------------------------------------------------------------------------------

    def publishing(self) -> AbstractContextManager[Path]:
        """See `indexer.store.atomic.publishing`."""

    def creating(self) -> AbstractContextManager[Path]:
        """See `indexer.store.atomic.creating`."""

    def replace_if(self, data: bytes, comes_next: Callable[[], bool]) -> None:
        """Write a whole file, which nobody else may have written meanwhile.

        On a disk, the lock keeps others from it (`locking`). In a bucket, ``comes_next`` says of the file that is there
        whether ``data`` may take its place, and that file is replaced and no later one.

        Raises
        ------
        FileExistsError
            Another file is there.
        """

    def rename(self, name: str) -> None:
        """Give a file another name in its folder."""

    def remove(self) -> None:
        """Remove a file or a folder with all it holds; nothing happens where there is none."""

    def remove_partial(self) -> None:
        """Remove what interrupted writers left in a folder."""

    def locking(self, own_folders: Sequence[str]) -> AbstractContextManager[None]:
        """Hold the lock of a folder.

        Where the block fails at once, nothing that was not there before is left; ``own_folders`` are the names of
        folders in it that the block may have made.

        Raises
        ------
        IndexBusy
            Another process holds it.
        """


def storage_at(location: Location) -> Storage:
    """The storage of a file or a folder; nothing is asked of it yet."""
    return RemoteStorage(location) if isinstance(location, RemotePath) else LocalStorage(location)
