"""File names for FAISS, which accepts only UTF-8; a file's name may hold other bytes."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def faiss_name(path: Path) -> Iterator[str]:
    """A name in UTF-8 for a file that need not exist yet. It is valid inside the context only."""
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
