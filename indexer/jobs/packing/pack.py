"""``pack(INDEX, "index.tar")``: a published index as one file, at a path or behind a URL.

The file is a plain tar. Its first member lists all others with their sizes and digests (`contents`), so it can be
checked while it is read. The same generation gives the same bytes.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from indexer.errors import DamagedFile, ImageUnavailable, InvalidRequest
from indexer.index import layout
from indexer.index.manifest import Manifest, check_no_links, encoded, read_manifest
from indexer.jobs.packing import tar
from indexer.jobs.packing.contents import LIST, MOST_LIST_BYTES, Contents, PackedFile
from indexer.jobs.upkeep import made_files
from indexer.query.generation import Generation
from indexer.query.records import ImageRecord
from indexer.store import atomic
from indexer.store.storage import Location

_BLOCK = 1 << 22
_SHOWN = 3


@dataclass(frozen=True)
class _Source:
    """A file that goes into a pack: how it is listed, and the blocks of its content."""

    file: PackedFile
    blocks: Callable[[], Iterator[bytes]]


def pack(
    index: Location,
    to: Location,
    *,
    originals: bool = False,
    images: Location | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Contents:
    """Write the published generation of an index as one file. It appears when it is whole; notes are not in it.

    Parameters
    ----------
    to : Path or RemotePath
        A file that does not exist yet. A remote one is prepared on this machine.
    originals : bool
        Put the original images in as well. An index that is unpacked from such a file finds them by itself.
    images : Location, optional
        The image root, if it is not where it was.
    progress : callable
        Gets the number of bytes that are written, and that of all.

    Raises
    ------
    NotAnIndex
    DamagedFile
        A file is not as it was written.
    InvalidRequest
        ``to`` exists, or an original is gone or has changed.
    StorageUnavailable, NotInstalled
    """
    if to.exists():
        raise InvalidRequest(f"{to} exists; name a file that does not exist yet, so that no file is lost")
    with ExitStack() as opened:
        manifest = read_manifest(index)
        check_no_links(index, manifest)
        wanted: list[_Source] = []
        if originals and not manifest.configuration.keep_images:
            wanted = _originals(opened.enter_context(Generation(index, images)))
            manifest = manifest.with_originals_inside(index)
        sources = [_manifest(index, manifest), *_files(index, manifest), *wanted]
        contents = Contents(tuple(source.file for source in sources))
        head = contents.encoded()
        if len(head) > MOST_LIST_BYTES:
            raise InvalidRequest(f"a pack lists its files in {MOST_LIST_BYTES} bytes at most, these take {len(head)}")
        with atomic.publishing(to) as partial, partial.open("wb") as out:
            _write(out, LIST, [head], len(head))
            done = 0
            for source in sources:
                _write(out, source.file.path, _checked(source), source.file.bytes)
                done += source.file.bytes
                progress(done, contents.bytes)
            out.write(tar.END)
    return contents


def _write(out: BinaryIO, name: str, blocks: "Iterator[bytes] | list[bytes]", size: int) -> None:
    out.write(tar.header(name, size))
    for block in blocks:
        out.write(block)
    out.write(tar.padding(size))


def _checked(source: _Source) -> Iterator[bytes]:
    """The content of a file; DamagedFile unless it is what the list says."""
    digest, size = hashlib.sha256(), 0
    for block in source.blocks():
        digest.update(block)
        size += len(block)
        if size <= source.file.bytes:
            yield block
    if size != source.file.bytes or digest.hexdigest() != source.file.sha256:
        raise DamagedFile(source.file.path, "is not as it was written; verify says more")


# -- what goes in -----------------------------------------------------------------------------------------------------


def _manifest(index: Location, manifest: Manifest) -> _Source:
    data = encoded(index, manifest)
    return _Source(_listed(layout.MANIFEST, data), lambda: iter([data]))


def _listed(path: str, data: bytes) -> PackedFile:
    return PackedFile(path, len(data), hashlib.sha256(data).hexdigest())


def _files(index: Location, manifest: Manifest) -> Iterator[_Source]:
    """The files that the manifest lists, and the images that were made for neurons."""
    listed = manifest.shard_checksums | manifest.configuration.dictionaries | manifest.checksums
    for error in made_files.damaged(index, manifest):
        raise DamagedFile(error.file, f"{error.cause}; verify --repair removes it")
    for file in made_files.own(index, manifest):
        listed[file] = atomic.file_sha256(index / file)
    for file, sha256 in sorted(listed.items()):
        try:
            size = (index / file).stat().st_size
        except FileNotFoundError as error:
            raise DamagedFile(file, "is missing") from error
        yield _Source(PackedFile(file, size, sha256), lambda path=index / file: _blocks(path))  # type: ignore[misc]


def _blocks(path: Location) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block


def _originals(generation: Generation) -> list[_Source]:
    """The original of each image that answers show, all read once before anything is written."""
    found: dict[str, _Source] = {}
    lost = []
    for record in generation.find_images(limit=max(1, generation.manifest.images)).items:
        try:
            file = _listed(f"{layout.ORIGINALS}/{record.path}", generation.original(record))
        except ImageUnavailable:
            lost.append(record.path)
            continue
        found[file.path] = _Source(file, lambda image=record: _original(generation, image))  # type: ignore[misc]
    if lost:
        shown = ", ".join(lost[:_SHOWN]) + ", …" * (len(lost) > _SHOWN)
        raise InvalidRequest(
            f"{len(lost)} originals are gone or have changed ({shown}); say where they are (--images), take them "
            "out of the index (remove), or pack it without originals"
        )
    return [found[path] for path in sorted(found)]


def _original(generation: Generation, image: ImageRecord) -> Iterator[bytes]:
    yield generation.original(image)
