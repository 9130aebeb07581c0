"""Runs jobs in a thread of this process, for a WSGI server that was not started by ``python -m service``.

The thread lasts while there are jobs to run, and uploads to remove once their time is over. It has no priority of its
own and no bound of memory, as a process has, and uses the same networks as uploads, which wait for it.
"""

import logging
import threading
from typing import Final

from service.indexes.catalog import Catalog
from service.inference.loader import Networks
from service.jobs.folder import results_folder
from service.jobs.queue import Jobs
from service.jobs.runner import Runner
from service.jobs.store import Store
from service.settings import Settings

log = logging.getLogger(__name__)

_LEAST_SECONDS: Final = 1.0
_MOST_SECONDS: Final = 60.0
"""Bounds of a wait for the time of an upload to be over: one that is may belong to a job that is still to end, and the
clock may be set."""


class LocalRunner:
    """See the module's description."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._changed = threading.Condition()
        self._woken = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is a new job."""
        with self._changed:
            self._woken = True
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while self._goes_on():
            try:
                self._runner.run_waiting()
            except OSError as error:
                log.error("jobs cannot be looked for", exc_info=error)

    def _goes_on(self) -> bool:
        """Whether there is a new job; waits for one while there are uploads. Where there are none, the thread ends."""
        while True:
            left = self._expire()
            with self._changed:
                if not self._woken and left is None:
                    self._thread = None
                    return False
                if not self._woken:
                    self._changed.wait(left)
                if self._woken:
                    self._woken = False
                    return True

    def _expire(self) -> float | None:
        """Remove uploads whose time is over; gives the seconds to wait for the next, None where there is none."""
        try:
            left = self._runner.expire()
        except OSError as error:
            log.error("uploads cannot be looked for", exc_info=error)
            return _MOST_SECONDS
        return None if left is None else min(max(left, _LEAST_SECONDS), _MOST_SECONDS)


def jobs_run_here(settings: Settings, catalog: Catalog, networks: Networks) -> Jobs:
    """The jobs of an application that runs them itself, unless ``--jobs 0`` leaves them to others."""
    folder = results_folder(settings)
    if folder is None or not settings.jobs:
        return Jobs(settings)
    return Jobs(settings, LocalRunner(Runner(Store(folder), catalog, networks, settings)).wake)
