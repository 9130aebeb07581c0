"""When to try again after a failure: at once if its files have changed, and ever more rarely if not."""

import time
from typing import Final

from indexer.store.storage import Location, storage_at

_SHORTEST: Final = 0.5
LONGEST: Final = 300.0
"""Seconds between two tries: at first, and at most."""


class Backoff:
    """The tries to open one index.

    Parameters
    ----------
    path : Location
        The index.
    """

    def __init__(self, path: Location) -> None:
        self._path = path
        self._failed: object = None
        self._file = ""
        self._file_stamp: tuple[object, ...] = ()
        self._delay = 0.0
        self._again_at = 0.0

    def waits(self, stamp: object) -> bool:
        """Whether this state of the index has failed, and it is too early for another try."""
        return (
            stamp == self._failed
            and time.monotonic() < self._again_at
            and file_stamp(self._path, self._file) == self._file_stamp
        )

    def failed(self, stamp: object, file: str = "") -> float:
        """Note a try that failed, because of a file of the index if it is known; seconds until the next."""
        self._delay = min(2 * self._delay, LONGEST) if stamp == self._failed and self._delay else _SHORTEST
        self._failed, self._again_at = stamp, time.monotonic() + self._delay
        self._file, self._file_stamp = file, file_stamp(self._path, file)
        return self._delay

    def succeeded(self) -> None:
        self._failed, self._delay = None, 0.0


def file_stamp(index: Location, file: str) -> tuple[object, ...]:
    """A value that changes with a file of an index; for a remote index, never looked at, always the same."""
    storage = storage_at(index / file)
    if storage.costs_requests or not file:
        return ()
    try:
        return storage.fingerprint()
    except (OSError, ValueError):
        return ()
