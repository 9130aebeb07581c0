"""Names of files as FAISS takes them: it wants UTF-8, which a file's name need not be."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def faiss_name(path: Path) -> Iterator[str]:
    """A name of a file, which may not be there yet, in UTF-8; it holds as long as the context."""
    name = str(path)
    if _is_utf8(name):
        yield name
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
