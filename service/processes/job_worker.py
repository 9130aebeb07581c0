"""``python -m service.processes.job_worker``: a process that runs jobs; `service.processes.supervisor` starts it.

It runs one job at a time, below everything else of the service, and in bounded memory. torch comes in with the first
job. A job that does not end when it should takes this process along, and the supervisor starts another.
"""

import contextlib
import logging
import os
import resource
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from service.jobs.folder import check_own, results_folder
from service.jobs.store import Store
from service.processes.child import Inherited, inherit
from service.telemetry import logs

if TYPE_CHECKING:
    from service.jobs.runner import Runner

log = logging.getLogger(__name__)

NICENESS: Final = 19
"""The kernel gives such a process what the others leave."""
_KILLED_FIRST: Final = 500
"""Of 1000: where memory is short, the kernel kills this process rather than another of the service."""
_BEAT_SECONDS: Final = 1.0
_POLL_SECONDS: Final = 0.5
_LOOK_SECONDS: Final = 10.0
"""How often to look for jobs where nothing tells that there is a new one."""
_STUCK_STATUS: Final = 3


class JobWorker:
    """The loop of the process."""

    def __init__(self, given: Inherited) -> None:
        self._given = given
        self._ending = threading.Event()
        self._runner: Runner | None = None

    def run(self) -> None:
        """Run jobs until told to end, or until the supervisor is gone."""
        signal.signal(signal.SIGTERM, lambda *_: self._ending.set())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._given.lifeline.beat()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        root = results_folder(self._given.settings)
        if root is not None:
            self._work(Store(root))

    def _beat(self) -> None:
        """Say that this process is alive. Where the supervisor is gone, so is the service: a job that runs is lost."""
        while True:
            self._given.lifeline.beat()
            logs.sweep()
            if self._given.lifeline.cut():
                os._exit(0)
            time.sleep(_BEAT_SECONDS)

    def _work(self, store: Store) -> None:
        seen, looked_at = "", -_LOOK_SECONDS
        while not self._ending.is_set():
            stamp = _stamp(store.root)
            if stamp != seen or time.monotonic() - looked_at > _LOOK_SECONDS:
                seen, looked_at = stamp, time.monotonic()
                try:
                    self._look(store)
                except OSError as error:
                    log.error("jobs cannot be looked for: %s", error.strerror)
            self._ending.wait(_POLL_SECONDS)

    def _look(self, store: Store) -> None:
        """Run what waits, and tidy. Until there is a job, this process stays small."""
        check_own(store.root, self._given.settings)
        if self._runner is None:
            if not store.ids():
                return
            self._runner = self._make_runner(store)
        self._runner.run_waiting()

    def _make_runner(self, store: Store) -> "Runner":
        from service.indexes.served import catalog_of
        from service.inference.loader import Networks
        from service.jobs.runner import Runner

        settings = self._given.settings
        networks = Networks(settings.model, settings.weights, settings.max_pixels, settings.model_args)
        catalog = catalog_of(settings, Path(self._given.network).parent)
        return Runner(store, catalog, networks, settings, self._ending.is_set, lambda: os._exit(_STUCK_STATUS))


def _stamp(root: Path) -> str:
    """Changes when there is a new job."""
    with contextlib.suppress(OSError):
        return str(os.stat(root).st_mtime_ns)
    return ""


def _yield_to_others(most_bytes: int) -> None:
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_KILLED_FIRST))
    # What the process writes to and nobody shares; files that it maps to read do not count.
    _, allowed = resource.getrlimit(resource.RLIMIT_DATA)
    most = most_bytes if allowed == resource.RLIM_INFINITY else min(most_bytes, allowed)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> int:
    """The process; its exit status."""
    with contextlib.closing(inherit()) as given:
        _yield_to_others(given.settings.job_bytes)
        JobWorker(given).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
