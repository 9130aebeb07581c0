"""Finds the images below a folder, and says which files are left out."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from indexer.images.bands import ENDING
from indexer.images.reading import extensions, looks_like_image
from indexer.store.storage import Location, storage_at
from indexer.store.walk import Link

_LINKED_FOLDER = (
    "a symbolic link to a folder; such links are not followed, but a list names images below any --image-root, and "
    "--follow-links follows them"
)
LEAVES_ROOT = "a symbolic link that leaves the image root; --follow-links follows it"
_LOOP = "a symbolic link back to a folder that it is in"
_REASONS = {Link.TO_FOLDER: _LINKED_FOLDER, Link.OUT: LEAVES_ROOT, Link.LOOP: _LOOP}
_TO_FOLDERS = (Link.TO_FOLDER, Link.LOOP)
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


def find_images(root: Location, follow_links: bool = False) -> Found:
    """Look for images below a folder. Names that begin with a dot are passed over.

    Arrays of numpy's (``.npy``) are the images of a folder that has no others.
    """
    found, known, arrays = Found(), extensions(), list[PurePosixPath]()
    storage = storage_at(root)
    for path, link in storage.files_through_links() if follow_links else storage.files():
        if link in _TO_FOLDERS:
            found.skipped.append((str(path), _REASONS[link]))
            continue
        ending = path.suffix.lower()
        is_image = ending in known or (not ending and link is None and _holds_image(root / path))
        if ending == ENDING and link is None:
            arrays.append(path)
        elif not is_image:
            found.endings[ending] += 1
        elif link is None:
            found.paths.append(path)
        else:
            found.skipped.append((str(path), _REASONS[link]))
    if found.paths and arrays:  # beside pictures, arrays are masks and the like
        found.endings[ENDING] += len(arrays)
    elif arrays:
        found.paths = arrays
    return found


def _holds_image(file: Location) -> bool:
    """Whether a file whose name has no ending is an image."""
    if not file.is_file():  # reading a pipe might never end
        return False
    try:
        return looks_like_image(storage_at(file).read_range(_FIRST_BYTES, 0))
    except OSError:
        return False
