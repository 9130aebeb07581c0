"""Remembers which image a thread is decoding, so that libraries' warnings can be told with its name."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_here = threading.local()


@contextmanager
def decoding(path: str) -> Iterator[None]:
    """Note that this thread decodes the image at ``path``."""
    _here.path = path
    try:
        yield
    finally:
        _here.path = None


def image() -> str | None:
    """The path of the image that this thread is decoding, if any."""
    return getattr(_here, "path", None)
