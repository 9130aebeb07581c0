"""Finished answers, kept so that the same question of the same generation need not be worked out again.

1. ``answers = Answers(most_bytes)``
2. ``answers.of(key, make)`` gives the `Finished` that is kept under that key, or makes and keeps it.

A key is a digest of everything that decides the answer: the opening of a generation, the question, and how it was
spelled, which links repeat. So nothing has to be thrown away when a new generation is opened: answers that nobody
asks for any more fall out. Only what is the same for everyone is kept: who may ask, how often, and in which coding it
is sent is decided for each request.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from flask import Response

from service.http.flights import Flights
from service.http.lru import LRU
from service.telemetry import metrics

_OVERHEAD: Final = 1024
"""Bytes that an entry is counted for beside its body: objects, headers, the key."""
_LARGEST: Final = 8
"""One answer may take this part of the whole, so that a few reports do not push out all pages."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A body and the headers that belong to it."""

    body: bytes
    headers: tuple[tuple[str, str], ...]

    def response(self) -> Response:
        return Response(self.body, headers=list(self.headers))


class Answers:
    """The answers asked for last, of at most so many bytes together; 0 keeps none. Safe from any thread."""

    def __init__(self, most_bytes: int) -> None:
        self._largest = most_bytes // _LARGEST
        self._flights: Flights[Finished] = Flights()
        self._kept: LRU[Finished] = LRU(most_bytes, _size)

    @property
    def bytes(self) -> int:
        """The bytes that are kept now."""
        return self._kept.size

    def of(
        self,
        key: str,
        make: Callable[[], Finished],
        counted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> Finished:
        """The answer kept under a key; without one it is made now, once for all who ask for it meanwhile.

        Whoever makes it, or waits for it, does so within ``counted()``, which may refuse them.
        """
        finished = self.get(key)
        if finished is not None:
            return finished
        with counted():
            return self._flights.of(key, lambda: self._made(key, make))

    def _made(self, key: str, make: Callable[[], Finished]) -> Finished:
        finished = self._kept.get(key)  # it may have been finished since this thread looked
        if finished is None:
            finished = make()
            self.put(key, finished)
        return finished

    def get(self, key: str) -> Finished | None:
        finished = self._kept.get(key)
        metrics.ANSWERS.labels("made" if finished is None else "kept").inc()
        return finished

    def put(self, key: str, finished: Finished) -> None:
        if _size(finished) <= self._largest:
            self._kept.put(key, finished)


def _size(finished: Finished) -> int:
    return len(finished.body) + _OVERHEAD + sum(len(name) + len(value) for name, value in finished.headers)
