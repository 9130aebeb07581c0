"""``unitscope.pack`` and ``unitscope.unpack``: an index as one file, from Python."""

from os import PathLike, fspath
from pathlib import Path

from indexer.jobs.packing import pack as packing
from indexer.jobs.packing import unpack as unpacking
from indexer.store.remote import parse_location


def pack(
    index: str | PathLike[str],
    to: str | PathLike[str],
    *,
    originals: bool = False,
    images: str | PathLike[str] | None = None,
) -> None:
    """Write an index as one file, a plain tar whose first member lists all others with their digests.

    Parameters
    ----------
    index : path or URL
    to : path or URL
        A file that does not exist yet.
    originals : bool
        Put the original images in as well.
    images : path or URL, optional
        The image root, if it is not where it was.

    Raises
    ------
    UnitscopeError
        One of its kinds; see `indexer.jobs.packing.pack.pack`.
    """
    root = None if images is None else parse_location(fspath(images))
    packing.pack(parse_location(fspath(index)), parse_location(fspath(to)), originals=originals, images=root)


def unpack(packed: str | PathLike[str], folder: str | PathLike[str]) -> None:
    """Make an index of such a file. The folder appears when everything in it has been checked.

    Parameters
    ----------
    packed : path or URL
    folder : path
        A folder of this machine that does not exist yet.

    Raises
    ------
    UnitscopeError
        One of its kinds; see `indexer.jobs.packing.unpack.unpack`.
    """
    unpacking.unpack(parse_location(fspath(packed)), Path(folder))
