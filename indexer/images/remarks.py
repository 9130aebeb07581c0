"""Which image a thread is decoding, for warnings of libraries that do not know its name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Say that this thread decodes an image."""
    _here.path = path
    try:
        yield
    finally:
        _here.path = None


def image() -> str | None:
    """The image that this thread decodes now, if any."""
    return getattr(_here, "path", None)
