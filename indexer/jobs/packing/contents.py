"""The list that a pack begins with: which files it holds, how large they are, and their digests."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from indexer.errors import DamagedFile
from indexer.index.layout import CARRIED, DERIVED, DICTIONARIES, MADE, MANIFEST, ORIGINALS, SHARDS

LIST: Final = "unitscope-pack.json"
"""The name of the list in a pack."""
FORMAT: Final = "unitscope pack"
VERSION: Final = 1
MOST_LIST_BYTES: Final = 1 << 28
_FOLDERS: Final = (SHARDS, DERIVED, DICTIONARIES, *CARRIED, MADE, ORIGINALS)
_LONGEST_NAME: Final = 255
_LONGEST_PATH: Final = 3000
_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_KEYS: Final = ("path", "bytes", "sha256")


@dataclass(frozen=True)
class PackedFile:
    """A file of a pack: its path relative to the index, its size in bytes, and its sha256 in hexadecimal."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Contents:
    """What a pack holds.

    Attributes
    ----------
    files : tuple of PackedFile
        In the order in which they lie in the pack.
    """

    files: tuple[PackedFile, ...]

    def encoded(self) -> bytes:
        """The list as it lies in the pack: JSON, a file a line."""
        head = {"format": FORMAT, "version": VERSION}
        lines = ",\n".join(json.dumps({key: getattr(file, key) for key in _KEYS}) for file in self.files)
        return f'{json.dumps(head)[:-1]}, "files": [\n{lines}\n]}}\n'.encode()

    @property
    def originals(self) -> int:
        """How many original images there are."""
        return sum(file.path.startswith(f"{ORIGINALS}/") for file in self.files)

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def read_contents(data: bytes) -> Contents:
    """The list of a pack, checked: no path leads out of the folder, and none is there twice.

    Raises
    ------
    DamagedFile
        It is no such list, or it names a file that no index has.
    """
    fields = _fields(data)
    files = tuple(map(_file, fields["files"]))
    _check_distinct([file.path for file in files])
    if not files or files[0].path != MANIFEST:
        raise _wrong(f"does not begin with {MANIFEST}")
    contents = Contents(files)
    if contents.encoded() != data:
        raise _wrong("is not written as this program writes it")
    return contents


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _wrong("is not JSON") from error
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        raise _wrong("is not that of a pack")
    if fields.get("version") != VERSION:
        raise _wrong(f"has version {str(fields.get('version'))[:20]}, this program reads version {VERSION}")
    if not isinstance(fields.get("files"), list):
        raise _wrong("lacks the files")
    return fields


def _file(entry: Any) -> PackedFile:
    if not isinstance(entry, dict) or set(entry) != set(_KEYS):
        raise _wrong(f"has an entry without {', '.join(_KEYS)}: {str(entry)[:100]}")
    path, size, sha256 = (entry[key] for key in _KEYS)
    if not isinstance(path, str) or (fault := _fault_of(path)):
        raise _wrong(f"names {str(path)[:200]!r}, which {'is no text' if not isinstance(path, str) else fault}")
    if type(size) is not int or not 0 <= size < 2**62:
        raise _wrong(f"says that {path} has {str(size)[:30]} bytes")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise _wrong(f"gives {path} no sha256 in hexadecimal")
    return PackedFile(path, size, sha256)


def _fault_of(path: str) -> str | None:
    """Why a path is none of a file of an index; None if it is one."""
    parts = path.split("/")
    if path.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the folder"
    if "\0" in path or str(PurePosixPath(path)) != path:
        return "is not written as a plain path"
    try:
        longest, whole = max(len(part.encode()) for part in parts), len(path.encode())
    except UnicodeEncodeError:
        return "is no UTF-8"
    if longest > _LONGEST_NAME or whole > _LONGEST_PATH:
        return "is too long for a disk"
    if path != MANIFEST and (parts[0] not in _FOLDERS or len(parts) < 2):
        return "is no file of an index"
    return None


def _check_distinct(paths: list[str]) -> None:
    twice = [path for path, count in Counter(paths).items() if count > 1]
    if twice:
        raise _wrong(f"names {twice[0]!r} twice")
    folders = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    if both := folders.intersection(paths):
        raise _wrong(f"names {min(both)!r} as a file and as a folder")


def _wrong(cause: str) -> DamagedFile:
    return DamagedFile(LIST, f"the list {cause}")
