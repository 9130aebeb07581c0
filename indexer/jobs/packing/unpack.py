"""``unpack("index.tar", "FOLDER")``: an index from a pack, of which nothing is believed.

The list in front says what must follow, to the byte: every header follows from it, and every content from its digest.
So there is no room for links, for a file twice, or for more than was declared. The folder appears, by one rename, when
all of it has been checked; before that it has a partial name, which a failed run removes, and the next run if this one
was killed.
"""

import fcntl
import glob
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index.layout import MANIFEST, ORIGINALS
from indexer.index.manifest import read_manifest
from indexer.jobs.packing import tar
from indexer.jobs.packing.contents import LIST, MOST_LIST_BYTES, Contents, PackedFile, read_contents
from indexer.jobs.upkeep import made_files
from indexer.store import atomic, durable
from indexer.store.storage import Location, ReadRange, storage_at

_BLOCK = 1 << 23


def unpack(
    packed: Location, folder: Path, *, progress: Callable[[int, int], None] = lambda done, total: None
) -> Contents:
    """Make an index of a pack.

    Parameters
    ----------
    packed : Path or RemotePath
        The file. A remote one is read in order, and no copy is kept.
    folder : Path
        A folder of this machine that does not exist yet.
    progress : callable
        Gets the number of bytes that are read, and that of all.

    Raises
    ------
    NotFound
        There is no such file.
    DamagedFile
        The file is no pack, is cut short, or holds something else than its list says.
    InvalidRequest
        ``folder`` exists, or the disk lacks the room.
    StorageUnavailable, NotInstalled
    """
    if os.path.lexists(folder):
        raise InvalidRequest(f"{folder} exists; name a folder that does not exist yet, so that no file is lost")
    with _opened(packed) as reader:
        contents = _contents(reader)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        _check_room(folder.parent, contents.bytes)
        with ExitStack() as held, atomic.publishing(folder) as partial:
            partial.mkdir()
            held.enter_context(_holding(partial))  # until it has its name
            for file in contents.files:
                _take(reader, partial, file)
                progress(reader.at, reader.size)
            reader.expect(tar.END, "its end")
            _check_index(partial, contents)
    return contents


class _Reader:
    """Reads a pack from its beginning to its end."""

    def __init__(self, name: str, size: int, read_range: ReadRange) -> None:
        self.name, self.size, self.at = name, size, 0
        self._read_range = read_range
        self._block, self._used = b"", 0

    def read(self, count: int) -> bytes:
        """So many bytes, of which there must be as many. Others are read ahead: each read may be a request."""
        left = len(self._block) - self._used
        if left < count:
            wanted = min(max(count - left, _BLOCK), self.size - self.at - left)
            more = self._read_range(wanted, self.at + left) if wanted else b""
            self._block, self._used = self._block[self._used :] + more, 0
        data = self._block[self._used : self._used + count]
        if len(data) != count:
            raise DamagedFile(self.name, "is cut short")
        self._used += count
        self.at += count
        return data

    def expect(self, data: bytes, what: str) -> None:
        """Read what must be there."""
        if self.read(len(data)) != data:
            raise DamagedFile(self.name, f"holds something else where {what} should be")

    def check_length(self, contents: Contents, head: int) -> None:
        """The list decides how long the pack is."""
        needed = head + sum(tar.length(file.path, file.bytes) for file in contents.files) + len(tar.END)
        if self.size != needed:
            raise DamagedFile(self.name, f"has {self.size} bytes, and its list says {needed}")


@contextmanager
def _opened(packed: Location) -> Iterator[_Reader]:
    storage = storage_at(packed)
    try:
        size = packed.stat().st_size
        if storage.is_irregular():
            raise InvalidRequest(f"{packed} is not a file")
        with storage.ranges() as read_range:
            yield _Reader(packed.name, size, read_range)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no file {packed}") from error


def _contents(reader: _Reader) -> Contents:
    first = reader.read(tar.BLOCK)
    field = first[124:136].rstrip(b"\0 ")
    size = int(field, 8) if field.isdigit() and not field.strip(b"01234567") else -1
    if size < 0 or first != tar.header(LIST, size):
        raise DamagedFile(reader.name, f"is no pack: it does not begin with {LIST}")
    if size > MOST_LIST_BYTES:
        raise DamagedFile(reader.name, f"has a list of more than {MOST_LIST_BYTES} bytes")
    data = reader.read(size)
    reader.expect(tar.padding(size), "the end of the list")
    contents = read_contents(data)
    reader.check_length(contents, reader.at)
    return contents


def _take(reader: _Reader, folder: Path, file: PackedFile) -> None:
    reader.expect(tar.header(file.path, file.bytes), f"{file.path} of {file.bytes} bytes")
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), file.bytes
    try:
        with path.open("xb") as out:
            while left:
                block = reader.read(min(_BLOCK, left))
                digest.update(block)
                out.write(block)
                left -= len(block)
    except FileExistsError as error:  # on a disk that takes two names for one
        raise InvalidRequest(f"{file.path} and another file have one name on this disk; unpack it elsewhere") from error
    if digest.hexdigest() != file.sha256:
        raise DamagedFile(file.path, "does not have the digest that the list says")
    reader.expect(tar.padding(file.bytes), f"the end of {file.path}")


def _check_index(folder: Path, contents: Contents) -> None:
    """The manifest and the list must name the same files, with the same digests."""
    manifest = read_manifest(folder)
    listed = manifest.shard_checksums | manifest.configuration.dictionaries | manifest.checksums
    made = set(made_files.own(folder, manifest))
    for file in contents.files:
        if file.path == MANIFEST or file.path in made or file.path.startswith(f"{ORIGINALS}/"):
            continue
        if listed.pop(file.path, None) != file.sha256:
            raise DamagedFile(file.path, "is not a file of the index as its manifest lists it")
    if listed:
        raise DamagedFile(min(listed), "is missing in the pack")
    for error in made_files.damaged(folder, manifest):
        raise error


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InvalidRequest(f"the index takes {needed} bytes, and {folder} has room for {free}; free some")


# -- what a run that was killed has left ------------------------------------------------------------------------------


@contextmanager
def _holding(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which the system frees when the process ends; BlockingIOError where another does."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _remove_leftovers(folder: Path) -> None:
    for left in folder.parent.glob(f"{glob.escape(folder.name)}.{'[0-9a-f]' * 8}{durable.PARTIAL_SUFFIX}"):
        with suppress(OSError), _holding(left):
            shutil.rmtree(left)
