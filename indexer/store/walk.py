"""Finds the files below a folder of this machine, and where symbolic links among them lead."""

import os
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class Link(Enum):
    """Where a symbolic link leads, if it may not be followed."""

    TO_FOLDER = auto()
    OUT = auto()
    """Out of the folder that is looked through."""
    LOOP = auto()
    """Back to a folder that it is in."""


class Entry(NamedTuple):
    """A file below a folder, or a link there to a folder that is not looked into."""

    path: PurePosixPath
    """Relative to the folder."""
    link: Link | None = None


def files(root: Path) -> Iterator[Entry]:
    """Every file below a folder. Links to folders are not followed, and names that begin with a dot are passed over."""
    return _files(root, PurePosixPath())


def files_through_links(root: Path) -> Iterator[Entry]:
    """As `files`, and below the folders that links lead to."""
    return _files_through_links(root, PurePosixPath(), frozenset())


def _files(root: Path, folder: PurePosixPath) -> Iterator[Entry]:
    for entry in _entries(root / folder):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            yield from _files(root, path)
        elif not entry.is_symlink():
            yield Entry(path)
        elif (root / path).is_dir():  # false for a link that leads to itself
            yield Entry(path, Link.TO_FOLDER)
        else:
            yield Entry(path, Link.OUT if leaves(root, root / path) else None)


def _files_through_links(root: Path, folder: PurePosixPath, above: frozenset[tuple[int, int]]) -> Iterator[Entry]:
    status = os.stat(root / folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        yield Entry(folder, Link.LOOP)
        return
    for entry in _entries(root / folder):
        path = folder / entry.name
        if (root / path).is_dir():
            yield from _files_through_links(root, path, above | {here})
        else:
            yield Entry(path)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not entry.name.startswith("."))


def links(root: Path, paths: Sequence[str]) -> Iterator[tuple[str, Link]]:
    """The paths that are links to a folder, or that a link puts outside of the root."""
    folders = {PurePosixPath(path).parent for path in paths}
    outside = {folder for folder in folders if leaves(root, root / folder)}
    for name in paths:
        path = root / name
        if path.is_symlink() and path.is_dir():
            yield name, Link.TO_FOLDER
        elif PurePosixPath(name).parent in outside or (path.is_symlink() and leaves(root, path)):
            yield name, Link.OUT


def leaves(root: Path, path: Path) -> bool:
    """Whether a path leads out of a root. A loop of links leads nowhere; reading it will fail."""
    return not Path(os.path.realpath(path)).is_relative_to(root)
