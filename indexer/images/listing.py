"""Which images a job is about: a folder, or a CSV or JSON-lines list."""

import csv
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from indexer.errors import InvalidRequest
from indexer.images.reading import extensions
from indexer.store.remote import RemotePath

LIST_SUFFIXES = (".csv", ".jsonl", ".ndjson")
MAX_CLASS = 1024
"""Longest name of a class, as in the service's contract."""
_LINKED_FOLDER = (
    "a symbolic link to a folder; such links are not followed, but a list names images below any --image-root"
)
_LEAVES_ROOT = "a symbolic link that leaves the image root"
NumberedRows = Iterator[tuple[int, dict[str, object]]]
"""Numbers of lines, and what stands there."""


@dataclass(frozen=True, slots=True, order=True)
class ImageFile:
    """An image to index: path relative to the image root, with forward slashes, and its class if it has one."""

    path: str
    class_: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """What a source holds.

    Attributes
    ----------
    root : Path
        The image root; every path is relative to it.
    files : list of ImageFile
        Sorted by path, each path once.
    skipped : list of (str, str)
        Paths that look like images but may not be used, with the reason.
    """

    root: Path
    files: list[ImageFile]
    skipped: list[tuple[str, str]]


def list_images(source: Path, root: Path | None = None) -> Listing:
    """List the images of a folder or of a list file.

    In a folder, an image's class is the first folder of its path, as in torchvision's ``ImageFolder``; images that
    lie directly in the folder have none. A list is CSV with a header, or JSON lines, with ``path`` and optionally
    ``class``; its paths are relative to ``root``, by default the list's own folder.

    Raises
    ------
    InvalidRequest
        The source is missing, malformed or holds no image.
    """
    if source.is_dir():
        if root is not None and root.resolve() != source.resolve():
            raise InvalidRequest("an image root goes with a list; a folder is its own root")
        listing = _list_folder(source.resolve())
    elif source.suffix.lower() in LIST_SUFFIXES and source.is_file():
        listing = _list_file(source, (root or source.parent).resolve())
    else:
        raise InvalidRequest(f"{source} is neither a folder nor a list ({', '.join(LIST_SUFFIXES)})")
    if not listing.files:
        why = "".join(f"; {path} is {reason}" for path, reason in listing.skipped[:1])
        raise InvalidRequest(f"{source} holds no image{why}")
    return listing


def _list_folder(root: Path) -> Listing:
    files: list[ImageFile] = []
    skipped: list[tuple[str, str]] = []
    known = extensions()
    paths = root.files() if isinstance(root, RemotePath) else _walk(root, PurePosixPath())
    for path in paths:
        if any(part.startswith(".") for part in path.parts):
            continue
        reason, is_image = _wrong_link(root, path), path.suffix.lower() in known
        if reason is _LINKED_FOLDER or (reason is not None and is_image):
            skipped.append((str(path), reason))
        elif is_image:
            files.append(ImageFile(str(path), path.parts[0] if len(path.parts) > 1 else None))
    return Listing(root, sorted(files, key=lambda file: file.path), sorted(skipped))


def _walk(root: Path, folder: PurePosixPath) -> Iterator[PurePosixPath]:
    with os.scandir(root / folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, folder / entry.name)
            else:
                yield folder / entry.name


def _wrong_link(root: Path, path: PurePosixPath) -> str | None:
    """What is wrong with a path, if it is a link that is not followed."""
    file = root / path
    if not file.is_symlink():
        return None
    if file.is_dir():
        return _LINKED_FOLDER
    target = Path(os.path.realpath(file))  # of a loop of links too, which the job then cannot read
    return None if target.is_relative_to(root) else _LEAVES_ROOT


def _outside(root: Path, folders: set[PurePosixPath]) -> set[PurePosixPath]:
    """Those of a list's folders to which a link leads out of the root."""
    if isinstance(root, RemotePath):
        return set()
    return {folder for folder in folders if not Path(os.path.realpath(root / folder)).is_relative_to(root)}


def _wrong_file(root: Path, path: PurePosixPath, outside: set[PurePosixPath]) -> str | None:
    return _LEAVES_ROOT if path.parent in outside else _wrong_link(root, path)


def _list_file(source: Path, root: Path) -> Listing:
    read = _csv_rows if source.suffix.lower() == ".csv" else _json_rows
    seen: dict[str, int] = {}
    files: list[ImageFile] = []
    for line, row in _text_of(source, read):
        path = _relative_path(source, line, row.get("path"))
        if path in seen:
            raise InvalidRequest(f"{source}, line {line}: {path} is listed already, on line {seen[path]}")
        seen[path] = line
        files.append(ImageFile(path, _class_name(source, line, row.get("class"))))
    outside = _outside(root, {PurePosixPath(file.path).parent for file in files})
    wrong = {file: _wrong_file(root, PurePosixPath(file.path), outside) for file in files}
    allowed = [file for file, reason in wrong.items() if reason is None]
    skipped = [(file.path, reason) for file, reason in wrong.items() if reason is not None]
    return Listing(root, sorted(allowed, key=lambda file: file.path), sorted(skipped))


def _text_of(source: Path, read: Callable[[Path], NumberedRows]) -> NumberedRows:
    try:
        yield from read(source)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"{source} is not UTF-8 ({error.reason}); save it as UTF-8") from error


def _relative_path(source: Path, line: int, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{source}, line {line}: every row needs a 'path'")
    try:
        os.fsencode(value)
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can write
        raise InvalidRequest(f"{source}, line {line}: {value!r} is no name of a file") from error
    path = PurePosixPath(value.strip())
    if path.is_absolute() or ".." in path.parts or "\0" in value:
        raise InvalidRequest(f"{source}, line {line}: {value!r} must be a path below the image root")
    return str(path)


def _class_name(source: Path, line: int, value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise InvalidRequest(f"{source}, line {line}: 'class' must be a name, not {value!r}")
    name = str(value)
    if name in (".", "..") or "\0" in name or len(name) > MAX_CLASS or not _is_text(name):
        raise InvalidRequest(
            f"{source}, line {line}: 'class' must be a text of at most {MAX_CLASS} characters that can be part of a "
            f"URL, not {name[:40]!r}"
        )
    return name


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def _csv_rows(source: Path) -> NumberedRows:
    with source.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if "path" not in (reader.fieldnames or ()):
            raise InvalidRequest(f"{source}: the header must name a 'path' column, it has {reader.fieldnames}")
        try:
            for row in reader:
                yield reader.line_num, dict(row)
        except csv.Error as error:
            raise InvalidRequest(f"{source}, line {reader.line_num + 1}: not CSV ({error})") from error


def _json_rows(source: Path) -> NumberedRows:
    with source.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:  # numbers too long, lists in lists too deep
                raise InvalidRequest(f"{source}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise InvalidRequest(f"{source}, line {number}: every line is an object with a 'path'")
            yield number, row
