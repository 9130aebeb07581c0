"""Runs jobs in a thread of this process, for a WSGI server that was not started by ``python -m service``.

The thread lasts while there are jobs. It has no priority of its own and no bound of memory, as a process has, and uses
the same networks as uploads, which wait for it.
"""

import logging
import threading

from service.indexes.catalog import Catalog
from service.inference.loader import Networks
from service.jobs.folder import results_folder
from service.jobs.queue import Jobs
from service.jobs.runner import Runner
from service.jobs.store import Store
from service.settings import Settings

log = logging.getLogger(__name__)


class LocalRunner:
    """See the module's description."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._woken = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is a new job."""
        with self._lock:
            self._woken = True
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while self._goes_on():
            try:
                while self._runner.run_next():
                    pass
                self._runner.tidy()
            except OSError as error:
                log.error("jobs cannot be looked for", exc_info=error)

    def _goes_on(self) -> bool:
        """Whether there was a new job since the last look; where there was none, the thread ends."""
        with self._lock:
            woken, self._woken = self._woken, False
            if not woken:
                self._thread = None
            return woken


def jobs_run_here(settings: Settings, catalog: Catalog, networks: Networks) -> Jobs:
    """The jobs of an application that runs them itself, unless ``--jobs 0`` leaves them to others."""
    folder = results_folder(settings)
    if folder is None or not settings.jobs:
        return Jobs(settings)
    return Jobs(settings, LocalRunner(Runner(Store(folder), catalog, networks, settings)).wake)
