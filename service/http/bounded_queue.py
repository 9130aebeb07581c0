"""A door that lets few in at a time and few wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import Counter

from indexer.query import deadline
from service.errors import Busy


class Gate:
    """At most ``inside`` at work, at most ``queue`` waiting, each for at most ``seconds``.

    Parameters
    ----------
    kind : str
        The kind of request that is let in, in the plural, as a message calls it.
    refused : Counter
        Counts them, by ``reason``.
    """

    def __init__(self, inside: int, queue: int, seconds: float, kind: str, refused: Counter) -> None:
        self._free = threading.Semaphore(inside)
        self._present = threading.Semaphore(inside + queue)
        self._seconds = seconds
        self._kind = kind
        self._refused = refused
        self._counted = threading.local()

    @contextmanager
    def count_in(self) -> Iterator[None]:
        """Be counted as inside or waiting, for a request that waits elsewhere, such as for what another works at.

        A thread is counted once: within this, `enter` finds it counted already.

        Raises
        ------
        Busy
            The queue is full.
        """
        if getattr(self._counted, "already", False):
            yield
            return
        if not self._present.acquire(blocking=False):
            raise self.full()
        self._counted.already = True
        try:
            yield
        finally:
            self._counted.already = False
            self._present.release()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for a place and hold it.

        Raises
        ------
        Busy
            The queue is full, or no place became free in time.
        """
        with self.count_in():
            with deadline.paused():
                entered = self._free.acquire(timeout=self._seconds)
            if not entered:
                raise self.late()
            try:
                yield
            finally:
                self._free.release()

    def full(self) -> Busy:
        """The error for a request that finds the queue full."""
        self._refused.labels("queue").inc()
        return self._busy(f"too many {self._kind} are waiting already")

    def late(self) -> Busy:
        """The error for a request that has waited for too long."""
        self._refused.labels("wait").inc()
        return self._busy(f"no place for {self._kind} became free within {self._seconds:g} seconds")

    def _busy(self, reason: str) -> Busy:
        return Busy(f"{reason}; try again later", retry_after=max(1, round(self._seconds)))
