"""A limit to how long one question may take.

::

    with within(60):
        index.search(...)       # raises TookTooLong where it takes longer

Every loop that may be long calls `check`, and so does every read of a map or an original. A search in FAISS or a
product of matrices cannot be interrupted; the size of a layer bounds it.
"""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from indexer.errors import TookTooLong

T = TypeVar("T")


class _Deadline:
    """When a question must have its answer, by `time.monotonic`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.at = time.monotonic() + seconds
        self.paused = False


_current: ContextVar[_Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give the questions asked within it so many seconds. It holds for this thread."""
    token = _current.set(_Deadline(seconds))
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Do not count the time spent within it, on a wait for others or on work with a limit of its own."""
    deadline = _current.get()
    if deadline is None or deadline.paused:
        yield
        return
    began, deadline.paused = time.monotonic(), True
    try:
        yield
    finally:
        deadline.paused = False
        deadline.at += time.monotonic() - began


def left() -> float:
    """Seconds that this question still has; infinity where there is no limit."""
    deadline = _current.get()
    return math.inf if deadline is None or deadline.paused else deadline.at - time.monotonic()


def check() -> None:
    """Go on only while there is time.

    Raises
    ------
    TookTooLong
    """
    if left() <= 0:
        raise expired()


def expired() -> TookTooLong:
    """The error for a question that has used its time up."""
    deadline = _current.get()
    seconds = f"{deadline.seconds:g} seconds" if deadline else "its time"
    return TookTooLong(f"this question took longer than {seconds}; ask for less: fewer items, one layer, exact=false")


def checked(items: Iterable[T]) -> Iterator[T]:
    """The same items, each given only while there is time."""
    for item in items:
        check()
        yield item
