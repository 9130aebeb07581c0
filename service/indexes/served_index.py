"""One index that is served: its open generations, and when to look for another on disk.

1. ``served = ServedIndex(path, open_index, check_seconds)``; nothing is opened yet.
2. ``with served.lease() as held:`` looks first whether another generation was published, if that is due, and opens it.
3. ``served.replaced(held)``, when ``held`` turned out damaged, says whether there is another to ask.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from indexer.errors import DamagedFile, NotAnIndex, StorageUnavailable, UnitscopeError
from indexer.index import layout, manifest
from indexer.query import deadline
from indexer.query.index import Index
from indexer.store.storage import Location
from service.errors import IndexUnavailable
from service.indexes.backoff import Backoff
from service.indexes.generations import Generations, OpenGeneration
from service.indexes.lookout import Lookout
from service.telemetry import metrics

log = logging.getLogger(__name__)

OpenIndex = Callable[[Location], Index]
Stamp = tuple[object, ...]
RARELY = 10
"""Storage that does not answer is asked, and a damaged generation opened anew, once in so many checks."""


class ServedIndex:
    """The generations of one index, kept up to date.

    Parameters
    ----------
    path : Location
    open_index : callable (path) -> Index
    check_seconds : float
        How often to look for a newer generation.
    """

    def __init__(self, path: Location, open_index: OpenIndex, check_seconds: float) -> None:
        self._path = path
        self._open_index = open_index
        self._check_seconds = check_seconds
        self._generations = Generations()
        self._lookout = Lookout(self._look)
        self._backoff = Backoff(path)
        self._stamp: Stamp | None = None
        """The state on disk that is open; None where none is."""
        self._suspect = 0
        """The serial of the generation that turned out damaged last."""

    @contextmanager
    def lease(self, number: int | None = None) -> Iterator[OpenGeneration]:
        """Use a generation, by default the newest; see `service.indexes.generations.Generations.lease`."""
        with deadline.paused():  # opening may take long, and is not the question's fault
            self._lookout.look_if_due(wait=self._generations.newest is None)
        newest = self._generations.newest
        if number is not None and newest is not None and number > newest.index.generation:
            self._lookout.look()  # another replica serves it already
        with self._generations.lease(number) as held:
            yield held

    def replaced(self, damaged: OpenGeneration) -> bool:
        """Whether there is another generation to ask than this one, which turned out damaged.

        A newer one is looked for at once. Where there is none, the same is opened anew from time to time: it may have
        been repaired.
        """
        self._suspect = damaged.serial
        self._lookout.look()
        return self._generations.newest not in (None, damaged)

    def close(self) -> None:
        """Close every generation once its leases have ended."""
        self._generations.withdraw(IndexUnavailable("the index is no longer served"))

    def _look(self) -> float:
        """Open what is published where that is not what is open; gives the seconds until the next look."""
        stamp: Stamp | None = None
        try:
            stamp = manifest.stamp(self._path)
            if self._must_be_opened(stamp):
                self._stamp = self._open(stamp)
        except NotAnIndex:
            self._withdraw(IndexUnavailable("the index is gone, or not published yet"))
        except StorageUnavailable as error:
            log.warning("index %s: %s", self._path.name, error)
            if self._generations.newest is None:  # one that is open goes on answering
                self._withdraw(error)
            return RARELY * self._check_seconds
        except UnitscopeError as error:
            self._refuse(stamp, error)
        except OSError as error:
            self._refuse(stamp, DamagedFile(layout.MANIFEST, f"cannot be read ({os.strerror(error.errno or 0)})"))
        return self._check_seconds

    def _must_be_opened(self, stamp: Stamp) -> bool:
        newest = self._generations.newest
        if newest is not None and (newest.is_cut() or self._may_be_repaired(newest)):
            return True
        return stamp != self._stamp and not self._backoff.waits(stamp)

    def _may_be_repaired(self, newest: OpenGeneration) -> bool:
        """Whether the newest turned out damaged, and was opened long enough ago to try it anew."""
        due_at = newest.opened_at + RARELY * self._check_seconds
        return newest.serial == self._suspect and time.monotonic() >= due_at

    def _open(self, stamp: Stamp) -> Stamp:
        """Open the published generation; gives its stamp."""
        while True:
            try:
                index = self._open_index(self._path)
                break
            except DamagedFile:
                # The files of a generation go when two newer ones are there: then this was not damage.
                before, stamp = stamp, manifest.stamp(self._path)
                if stamp == before:
                    raise
        self._generations.replace(OpenGeneration.of(index))
        self._backoff.succeeded()
        metrics.GENERATIONS.inc()
        return stamp

    def _refuse(self, stamp: Stamp | None, error: UnitscopeError) -> None:
        seconds = self._backoff.failed(stamp, error.file if isinstance(error, DamagedFile) else "")
        log.warning("index %s cannot be opened (%s); tried again in %g s", self._path.name, error, seconds)
        self._withdraw(error)

    def _withdraw(self, reason: UnitscopeError) -> None:
        self._stamp = None
        self._generations.withdraw(reason)
