"""Lists the images of a job: those of a folder, or those that a list names."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from indexer.errors import InvalidRequest
from indexer.images.columns import Columns, Wanted, choose
from indexer.images.folder import LEAVES_ROOT, find_images
from indexer.images.left_out import endings_line
from indexer.images.table import DELIMITERS, READERS, Table, open_table
from indexer.store.storage import Location, storage_at
from indexer.store.walk import Link

LIST_SUFFIXES = tuple(READERS)
_WRONG_LINKS = {Link.TO_FOLDER: "a symbolic link to a folder", Link.OUT: LEAVES_ROOT}
MAX_CLASS = 1024
"""The longest name of a class, as in the service's contract."""


@dataclass(frozen=True, slots=True, order=True)
class ImageFile:
    """An image to index: its path relative to the image root, with forward slashes, and its class if it has one."""

    path: str
    class_: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """The content of a source.

    Attributes
    ----------
    root : Location
        The image root; every path is relative to it.
    files : list of ImageFile
        Sorted by path, each path once.
    skipped : list of (str, str)
        Paths that look like images but may not be used, with the reason.
    endings : mapping of str to int
        How many files were left out because of each ending of their names; see `indexer.images.folder.Found`.
    classes : bool
        Whether the source gives classes; a list without such a column does not.
    notes : list of str
        Sentences for a person that say how a list was understood.
    """

    root: Location
    files: list[ImageFile]
    skipped: list[tuple[str, str]]
    endings: Counter[str] = field(default_factory=Counter)
    classes: bool = True
    notes: list[str] = field(default_factory=list)


def list_images(
    source: Location, root: Location | None = None, wanted: Wanted | None = None, follow_links: bool = False
) -> Listing:
    """List the images of a folder or of a list file.

    In a folder, an image's class is the first folder of its path, as in torchvision's ``ImageFolder``. Images that lie
    directly in the folder have no class. A list is a CSV or TSV with a header, JSON lines, or Parquet. It holds paths
    and optionally classes (`indexer.images.columns`). Its paths are below ``root``, by default the list's own folder.

    Raises
    ------
    InvalidRequest
        The source is missing, malformed or holds no image.
    NotInstalled
        Reading the list needs a package of an extra.
    """
    if source.is_dir():
        if root is not None and root.resolve() != source.resolve():
            raise InvalidRequest("an image root goes with a list; a folder is its own image root")
        if wanted not in (None, Wanted()):
            raise InvalidRequest(
                f"--path-column and --class-column go with a list; {source} is a folder, whose folders are the classes"
            )
        listing = _list_folder(source.resolve(), follow_links)
    elif source.suffix.lower() in LIST_SUFFIXES and source.is_file():
        listing = _list_file(source, (root or source.parent).resolve(), wanted or Wanted(), follow_links)
    elif source.exists():
        raise InvalidRequest(f"{source} is neither a folder nor a list ({', '.join(LIST_SUFFIXES)})")
    else:
        raise InvalidRequest(f"there is no {source}; name a folder or a list ({', '.join(LIST_SUFFIXES)})")
    if not listing.files:
        why = "".join(f"; {path} is {reason}" for path, reason in listing.skipped[:1])
        left_out = f"; {endings_line(listing.endings)}" if listing.endings else ""
        raise InvalidRequest(f"{source} holds no image{why}{left_out}")
    return listing


def _list_folder(root: Location, follow_links: bool) -> Listing:
    found = find_images(root, follow_links)
    files = [ImageFile(str(path), path.parts[0] if len(path.parts) > 1 else None) for path in found.paths]
    return Listing(root, sorted(files, key=lambda file: file.path), sorted(found.skipped), found.endings)


def _list_file(source: Location, root: Location, wanted: Wanted, follow_links: bool) -> Listing:
    table = open_table(source)
    columns = choose(source, table.columns, wanted)
    files = list(_rows(source, root, table, columns))
    wrong = {} if follow_links else dict(_wrong_links(root, files))
    return Listing(
        root,
        sorted((file for file in files if file.path not in wrong), key=lambda file: file.path),
        sorted(wrong.items()),
        classes=columns.class_ is not None,
        notes=[_understood(source, table, columns, files)],
    )


def _rows(source: Location, root: Location, table: Table, columns: Columns) -> Iterator[ImageFile]:
    seen: dict[str, int] = {}
    for line, row in table.rows():
        path = _relative_path(source, line, row.get(columns.path), columns.path, root)
        if path in seen:
            raise InvalidRequest(f"{source}, line {line}: {path} is listed already, on line {seen[path]}")
        seen[path] = line
        class_ = None if columns.class_ is None else _class_name(source, line, row.get(columns.class_), columns.class_)
        yield ImageFile(path, class_)


def _understood(source: Location, table: Table, columns: Columns, files: list[ImageFile]) -> str:
    """A sentence that says how a list was read, so that no part of it is dropped silently."""
    names = {file.class_ for file in files} - {None}
    parts = [f"paths from the column {columns.path!r}"]
    if columns.class_ is not None:
        parts.append(f"classes from {columns.class_!r} ({len(names)} class{'' if len(names) == 1 else 'es'})")
        without = sum(file.class_ is None for file in files)
        parts += [f"{without} of {len(files)} images without a class"] if without else []
    elif columns.ignored:
        parts.append(
            "NO classes: none of the other columns is known to hold them; --class-column NAME says which one does"
        )
    else:
        parts.append("no classes")
    if columns.ignored:
        parts.append(f"ignored: {', '.join(map(repr, columns.ignored))}")
    if table.delimiter is not None and len(table.columns) > 1:
        parts.append(f"{DELIMITERS[table.delimiter]} between the columns")
    return f"{source}: {'; '.join(parts)}"


def _wrong_links(root: Location, files: list[ImageFile]) -> Iterator[tuple[str, str]]:
    """The images of a list that a link puts outside of the root, with the reason."""
    for path, link in storage_at(root).links([file.path for file in files]):
        yield path, _WRONG_LINKS[link]


def _relative_path(source: Location, line: int, value: object, column: str, root: Location) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{source}, line {line}: every row needs a {column!r}")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        raise InvalidRequest(f"{source}, line {line}: {value!r} cannot be the name of a file") from error
    name = storage_at(root).relative_name(value.strip())
    if name is None or ".." in PurePosixPath(name).parts or "\0" in value or name in ("", "."):
        raise InvalidRequest(
            f"{source}, line {line}: {value!r} must be a path below the image root {root}; --image-root names another"
        )
    return str(PurePosixPath(name))


def _class_name(source: Location, line: int, value: object, column: str) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise InvalidRequest(f"{source}, line {line}: {column!r} must be a name, not {value!r}")
    name = str(value).strip()
    if name in (".", "..") or "\0" in name or len(name) > MAX_CLASS or not _is_text(name):
        raise InvalidRequest(
            f"{source}, line {line}: {column!r} must be a text of at most {MAX_CLASS} characters that can be part of a "
            f"URL, not {name[:40]!r}"
        )
    return name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True
