"""Equal questions that are asked at the same time are worked out once.

The first that asks works; the others wait for what it gets, an answer or an error, for no longer than each of them has
time. Nobody waits for a free thread: the one who works has a thread already, and asks no other question of this kind
meanwhile.
"""

import math
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from indexer.query import deadline

T = TypeVar("T")


class _Flight(Generic[T]):
    """One question that is being worked out."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.answer: T | None = None
        self.error: Exception | None = None


class Flights(Generic[T]):
    """The questions being worked out now, by key. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight[T]] = {}

    def of(self, key: str, make: Callable[[], T]) -> T:
        """What ``make`` gives, or what it gives to another who asked the same before and has no answer yet.

        Raises
        ------
        TookTooLong
            The time of this question ended while another worked on it.
        Exception
            Whatever ``make`` raises, here or there.
        """
        with self._lock:
            flight = self._flights.get(key)
            works = flight is None
            if flight is None:
                flight = self._flights[key] = _Flight()
        return self._work(key, flight, make) if works else self._wait(flight, make)

    def _work(self, key: str, flight: _Flight[T], make: Callable[[], T]) -> T:
        try:
            flight.answer = make()
            return flight.answer
        except Exception as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._flights[key]
            flight.landed.set()

    @staticmethod
    def _wait(flight: _Flight[T], make: Callable[[], T]) -> T:
        left = deadline.left()
        if not flight.landed.wait(None if left == math.inf else max(0.0, left)):
            raise deadline.expired()
        if flight.error is not None:
            raise flight.error
        if flight.answer is None:  # the thread that worked was ended, not the question
            return make()
        return flight.answer
