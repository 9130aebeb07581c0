"""Finds the images below a folder, and says which files are left out."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from indexer.images.reading import extensions, looks_like_image
from indexer.store.remote import RemotePath

_LINKED_FOLDER = (
    "a symbolic link to a folder; such links are not followed, but a list names images below any --image-root, and "
    "--follow-links follows them"
)
LEAVES_ROOT = "a symbolic link that leaves the image root; --follow-links follows it"
_LOOP = "a symbolic link back to a folder that it is in"
_FIRST_BYTES = 64


@dataclass
class Found:
    """The files below a folder: paths of images, images that may not be used with the reason, and counts by ending.

    ``endings`` counts the files that are left out because of their names' endings, in lower case. "" stands for names
    without an ending. Such files are looked into: only those that hold no image are counted.
    """

    paths: list[PurePosixPath] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)


def find_images(root: Path | RemotePath, follow_links: bool = False) -> Found:
    """Look for images below a folder. Names that begin with a dot are passed over."""
    found, known = Found(), extensions()
    for path, reason in _files(root, follow_links, found):
        ending = path.suffix.lower()
        is_image = ending in known or (not ending and _holds_image(root / path, reason))
        if not is_image:
            found.endings[ending] += 1
        elif reason is None:
            found.paths.append(path)
        else:
            found.skipped.append((str(path), reason))
    return found


def _files(root: Path | RemotePath, follow_links: bool, found: Found) -> Iterator[tuple[PurePosixPath, str | None]]:
    """Every file below a folder, with the reason if it may not be used."""
    if isinstance(root, RemotePath):
        for path in root.files():
            if not any(part.startswith(".") for part in path.parts):
                yield path, None
    elif follow_links:
        yield from ((path, None) for path in _walk_links(root, PurePosixPath(), frozenset(), found))
    else:
        yield from _walk(root, PurePosixPath(), found)


def _walk(root: Path, folder: PurePosixPath, found: Found) -> Iterator[tuple[PurePosixPath, str | None]]:
    for entry in _entries(root / folder):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, found)
        elif entry.is_symlink() and (root / path).is_dir():  # false for a link that leads to itself
            found.skipped.append((str(path), _LINKED_FOLDER))
        else:
            yield path, LEAVES_ROOT if entry.is_symlink() and leaves(root, root / path) else None


def _walk_links(
    root: Path, folder: PurePosixPath, above: frozenset[tuple[int, int]], found: Found
) -> Iterator[PurePosixPath]:
    status = os.stat(root / folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        found.skipped.append((str(folder), _LOOP))
        return
    for entry in _entries(root / folder):
        if (root / folder / entry.name).is_dir():
            yield from _walk_links(root, folder / entry.name, above | {here}, found)
        else:
            yield folder / entry.name


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def leaves(root: Path, path: Path) -> bool:
    """Whether a path leads out of a root. A loop of links leads nowhere; reading it will fail."""
    return not Path(os.path.realpath(path)).is_relative_to(root)


def _holds_image(file: Path | RemotePath, reason: str | None) -> bool:
    """Whether a file whose name has no ending is an image. A file that may not be used is not looked into."""
    if reason is not None or not file.is_file():  # reading a pipe might never end
        return False
    try:
        if isinstance(file, RemotePath):
            return looks_like_image(file.read_range(_FIRST_BYTES, 0))
        with file.open("rb") as opened:
            return looks_like_image(opened.read(_FIRST_BYTES))
    except OSError:
        return False
