"""Files of JSON that say themselves whether they are whole: a line with the SHA-256 of the rest, then the rest."""

import hashlib
import json
from pathlib import Path
from typing import Any, Final

from indexer.store.atomic import creating, publishing
from indexer.store.refusals import NotRegular, TooLarge
from indexer.store.storage import storage_at

MOST_BYTES: Final = 1 << 30
"""More than any of these files may have, whoever wrote it."""


class Damaged(ValueError):
    """A file is there, and is not what was written."""


def pack(body: Any) -> bytes:
    """The content of a file.

    Raises
    ------
    ValueError
        The body has a number that JSON cannot hold.
    """
    text = json.dumps(body, allow_nan=False, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(text).hexdigest().encode() + b"\n" + text


def unpack(content: bytes) -> Any:
    """The body of a file's content.

    Raises
    ------
    Damaged
    """
    digest, _, text = content.partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise Damaged
    return json.loads(text)


def read(path: Path) -> Any:
    """The body of a file, None where there is none.

    Raises
    ------
    Damaged
    OSError
        It cannot be read.
    """
    try:
        content = storage_at(path).read(MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (NotRegular, TooLarge) as error:
        raise Damaged from error
    return unpack(content)


def write(path: Path, body: Any) -> None:
    """Write a file, in place of one that may be there."""
    with publishing(path) as partial:
        partial.write_bytes(pack(body))


def create(path: Path, body: Any) -> bool:
    """Write a file, unless there is one already; says whether it did."""
    try:
        with creating(path) as partial:
            partial.write_bytes(pack(body))
    except FileExistsError:
        return False
    return True
