"""Runs jobs in a thread of this process, for a WSGI server that was not started by ``python -m service``.

The thread begins with the first job. It has no priority of its own and no bound of memory, as a process has.
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

_LOOK_SECONDS: Final = 5.0
"""How often to look for jobs that another service has taken, or that wait for a generation."""


class LocalRunner:
    """See the module's description."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._lock = threading.Lock()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is a new job."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
                self._thread.start()
        self._work.set()

    def _loop(self) -> None:
        while True:
            self._work.wait(_LOOK_SECONDS)
            self._work.clear()
            try:
                while self._runner.run_next():
                    pass
                self._runner.tidy()
            except OSError as error:
                log.error("jobs cannot be looked for", exc_info=error)


def jobs_run_here(settings: Settings, catalog: Catalog, networks: Networks) -> Jobs:
    """The jobs of an application that runs them itself, unless ``--jobs 0`` leaves them to others."""
    folder = results_folder(settings)
    if folder is None or not settings.jobs:
        return Jobs(settings)
    return Jobs(settings, LocalRunner(Runner(Store(folder), catalog, networks, settings)).wake)
