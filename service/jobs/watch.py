"""Looks after a running job from a thread of its own: its progress, its time, and whether somebody wants it to end.

Meanwhile it removes uploads whose time is over, as whoever else does that waits for this job.

A job that hangs in code that asks nobody does not end when it should. Then `on_stuck` is called, which ends its whole
process.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Self

from indexer.errors import Stopped
from service.jobs.store import Store
from service.jobs.tidy import remove_expired

log = logging.getLogger(__name__)

Reason = Literal["cancelled", "late", "leaving"]
TICK: Final = 0.25
_PROGRESS_SECONDS: Final = 0.5
_BEAT_SECONDS: Final = 5.0
_EXPIRE_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 10.0
"""What a job has to end in once it is told to."""


class Watch:
    """A context within which a job runs.

    Parameters
    ----------
    seconds : float
        How long the job may run.
    leaving : callable () -> bool
        Whether this process is told to end.
    on_stuck : callable (reason)
        Called where the job does not end although it should.
    grace : float
        How many seconds it has for that.
    """

    def __init__(
        self,
        store: Store,
        id_: str,
        seconds: float,
        leaving: Callable[[], bool],
        on_stuck: Callable[[Reason], None],
        grace: float = GRACE_SECONDS,
    ) -> None:
        self.started = time.time()
        self.reason: Reason | None = None
        self._store, self._id = store, id_
        self._seconds = seconds
        self._leaving = leaving
        self._on_stuck = on_stuck
        self._grace = grace
        self._steps: tuple[int | None, int | None] = (None, None)
        self._told_at = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._store.put_progress(self._id, None, None, self.started)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def progress(self, done: int, total: int) -> None:
        """Note the steps done; raises `Stopped` where the job is to end."""
        self._steps = done, total
        if self.reason:
            raise Stopped("the job is to end")

    def stop(self) -> bool:
        """Whether the job is to end."""
        return self.reason is not None

    def _look(self) -> None:
        began = written_at = beaten_at = expired_at = time.monotonic()
        written = self._steps
        while not self._ended.wait(TICK):
            now = time.monotonic()
            if self.reason is None:
                self.reason = self._why_end(now - began)
                self._told_at = now
            elif now - self._told_at > self._grace:
                self._told_at = math.inf  # once is enough
                self._on_stuck(self.reason)
            with suppress(OSError):  # the folder may be full or gone; the job shows that when it ends
                if self._steps != written and now - written_at > _PROGRESS_SECONDS:
                    written, written_at = self._steps, now
                    self._store.put_progress(self._id, *written, self.started)
                elif now - beaten_at > _BEAT_SECONDS:
                    beaten_at = now
                    self._store.beat(self._id)
            with suppress(OSError):
                if now - expired_at > _EXPIRE_SECONDS:
                    expired_at = now
                    remove_expired(self._store)

    def _why_end(self, seconds: float) -> Reason | None:
        if self._leaving():
            return "leaving"
        if seconds > self._seconds:
            return "late"
        return "cancelled" if self._store.is_cancelled(self._id) else None
