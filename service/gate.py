"""A door that lets few in at a time and few wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import Busy


class Gate:
    """At most ``places`` inside, at most ``queue`` waiting, each for at most ``seconds``."""

    def __init__(self, places: int, queue: int, seconds: float) -> None:
        self._free = threading.Semaphore(places)
        self._present = threading.Semaphore(places + queue)
        self._seconds = seconds

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Wait for a place and hold it.

        Raises
        ------
        Busy
            The queue is full, or no place became free in time.
        """
        if not self._present.acquire(blocking=False):
            raise self._busy("too many uploads are waiting already")
        try:
            if not self._free.acquire(timeout=self._seconds):
                raise self._busy(f"no place became free within {self._seconds:g} seconds")
            try:
                yield
            finally:
                self._free.release()
        finally:
            self._present.release()

    def _busy(self, reason: str) -> Busy:
        return Busy(f"{reason}; try again later", retry_after=max(1, round(self._seconds)))
