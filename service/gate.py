"""A door that lets few in at a time and few wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service import metrics
from service.errors import Busy


class Gate:
    """At most ``places`` inside, at most ``queue`` waiting, each for at most ``seconds``."""

    def __init__(self, places: int, queue: int, seconds: float) -> None:
        self._free = threading.Semaphore(places)
        self._present = threading.Semaphore(places + queue)
        self._seconds = seconds

    @contextmanager
    def attend(self) -> Iterator[None]:
        """Be counted as inside or waiting, for what waits elsewhere.

        Raises
        ------
        Busy
            The queue is full.
        """
        if not self._present.acquire(blocking=False):
            raise self.full()
        try:
            yield
        finally:
            self._present.release()

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for a place and hold it.

        Raises
        ------
        Busy
            The queue is full, or no place became free in time.
        """
        with self.attend():
            if not self._free.acquire(timeout=self._seconds):
                raise self.late()
            try:
                yield
            finally:
                self._free.release()

    def full(self) -> Busy:
        """The error for who finds the queue full."""
        metrics.REFUSED.labels("queue").inc()
        return self._busy("too many uploads are waiting already")

    def late(self) -> Busy:
        """The error for who has waited for too long."""
        metrics.REFUSED.labels("wait").inc()
        return self._busy(f"no place became free within {self._seconds:g} seconds")

    def _busy(self, reason: str) -> Busy:
        return Busy(f"{reason}; try again later", retry_after=max(1, round(self._seconds)))
