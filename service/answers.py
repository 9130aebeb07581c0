"""Finished answers, kept so that the same question of the same generation need not be worked out again.

1. ``answers = Answers(most_bytes)``
2. ``answers.get(key)`` gives a `Finished` that was ``put`` under that key, or None.

A key is a digest of everything that decides the answer: the opening of a generation, the question, and how it was
spelled, which links repeat. So nothing has to be thrown away when a new generation is opened: what is no longer asked
for falls out. Only what is the same for everyone is kept: who may ask, how often, and in which coding it is sent is
decided for each request.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from flask import Response

from service import metrics

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
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Finished] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What is kept now."""
        return self._bytes

    def get(self, key: str) -> Finished | None:
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
        metrics.ANSWERS.labels("made" if found is None else "kept").inc()
        return found

    def put(self, key: str, finished: Finished) -> None:
        size = _size(finished)
        if size > self._most_bytes // _LARGEST:
            return
        with self._lock:
            if key in self._kept:
                return  # two asked at the same time
            self._kept[key] = finished
            self._bytes += size
            while self._bytes > self._most_bytes:
                self._bytes -= _size(self._kept.popitem(last=False)[1])


def _size(finished: Finished) -> int:
    return len(finished.body) + _OVERHEAD + sum(len(name) + len(value) for name, value in finished.headers)
