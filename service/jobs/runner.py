"""Runs the jobs that wait, one at a time, oldest first.

1. ``runner = Runner(store, catalog, networks, settings)``
2. ``runner.run_next()`` runs one job, if one waits that this service can run, and says whether it did.
3. ``runner.run_waiting()`` runs all that wait, and keeps the folder within its bounds meanwhile.

A job is about one generation of an index. One that waits for a generation that has been replaced meanwhile fails; one
whose index this service does not serve is left to others.
"""

import logging
import os
import time
from collections.abc import Callable
from typing import Any, Final

from indexer.errors import NotFound, Stopped, UnitscopeError, UserCodeFailed
from indexer.index.configuration import Configuration
from service.indexes.catalog import Catalog
from service.indexes.generations import OpenGeneration
from service.inference.loader import Networks
from service.jobs import tidy
from service.jobs.kinds.registry import KINDS
from service.jobs.kinds.work import Work
from service.jobs.records import Outcome, Request
from service.jobs.store import Store
from service.jobs.watch import Reason, Watch
from service.settings import Settings
from service.telemetry import metrics

log = logging.getLogger(__name__)

ORPHANED_SECONDS: Final = 3600.0
"""A job that waits for so long and that nobody here can run fails."""
_FAILED: Final = "something went wrong inside the service; its log has the cause under the id of the job"


class Runner:
    """See the module's description.

    Parameters
    ----------
    leaving : callable () -> bool
        Whether this process is told to end: the job then waits again, for whoever comes next.
    on_stuck : callable (reason)
        Called where a job does not end although it should, after its outcome is written.
    """

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        networks: Networks,
        settings: Settings,
        leaving: Callable[[], bool] = lambda: False,
        on_stuck: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._networks = networks
        self._settings = settings
        self._leaving = leaving
        self._on_stuck = on_stuck

    def run_next(self) -> bool:
        """Run the oldest job that waits here; False where there is none."""
        waiting = [job for job in self._store.jobs() if job.state == "queued"]
        return any(self._run(job.request) for job in sorted(waiting, key=lambda job: (job.request.created, job.id)))

    def run_waiting(self) -> None:
        """Run one job after the other until none waits, or this process is told to end.

        Each is followed by `tidy`: while jobs keep coming, uploads must go in time, and results must find room.
        """
        goes_on = True
        while goes_on:
            goes_on = not self._leaving() and self.run_next()
            try:
                self.tidy()
            except OSError as error:  # those that wait must run nevertheless
                log.error("the results of jobs cannot be tidied", exc_info=error)

    def expire(self) -> float | None:
        """Remove uploads whose time is over; gives the seconds until the next one's is, None where there is none."""
        tidy.remove_expired(self._store)
        return tidy.seconds_left(self._store)

    def tidy(self) -> None:
        """Erase what may no longer be shown, and make room."""
        tidy.erase_outdated(self._store, self._catalog)
        tidy.remove_expired(self._store)
        tidy.make_room(self._store, self._settings.results_bytes)

    def _run(self, request: Request) -> bool:
        """Run a job, if it is for this process."""
        kind = KINDS.get(request.kind)
        if kind is None or kind.version != request.version:  # of a service of another version
            return self._is_orphaned(request) and self._refuse(request, "nobody here runs this kind of jobs")
        try:
            return self._catalog.ask(request.index, lambda held: self._run_on(request, held))
        except NotFound:
            return self._is_orphaned(request) and self._refuse(request, "nobody serves this index any more")
        except UnitscopeError as error:  # the index cannot be opened now
            log.info("job %s waits: %s", request.id, error)
            return False

    @staticmethod
    def _is_orphaned(request: Request) -> bool:
        return time.time() - request.created > ORPHANED_SECONDS

    def _run_on(self, request: Request, held: OpenGeneration) -> bool:
        if held.state != request.state:
            if held.index.generation < request.generation:  # another replica has seen it first
                return False
            return self._refuse(
                request,
                f"generation {request.generation} of the index was replaced by {held.index.generation} before it ran; "
                "ask again",
            )
        claim = self._store.claim(request.id)
        if claim is None:
            return False
        try:
            self._carry_out(request, held)
        finally:
            os.close(claim)
        return True

    def _refuse(self, request: Request, detail: str) -> bool:
        claim = self._store.claim(request.id)
        if claim is None:
            return False
        self._end(request, Outcome("failed", detail))
        os.close(claim)
        return True

    def _carry_out(self, request: Request, held: OpenGeneration) -> None:
        watch = Watch(
            self._store, request.id, self._settings.job_seconds, self._leaving,
            lambda reason: self._give_up(request, watch.started, reason),
        )  # fmt: skip
        log.info("job %s begins: %s on %s", request.id, request.kind, request.index)
        with watch:
            outcome = self._outcome(request, held, watch)
        if outcome is None:
            self._store.give_back(request.id)
            log.info("job %s waits again, as this process is told to end", request.id)
        else:
            self._end(request, outcome)

    def _outcome(self, request: Request, held: OpenGeneration, watch: Watch) -> Outcome | None:
        """How a job ends; None where it is to wait again."""
        configuration = held.index.manifest.configuration
        work = Work(
            held.index, lambda: self._networks.lent(configuration), request.parameters, watch.progress, watch.stop,
            lambda: self._store.upload(request.id), self._settings.max_pixels,
        )  # fmt: skip
        try:
            body = KINDS[request.kind].run(work)
        except Stopped:
            return self._stopped(watch.reason, watch.started)
        except Exception as error:  # whatever it is, the next job must run
            return Outcome("failed", _explained(request, configuration, error, self._settings), watch.started)
        if watch.reason is not None:
            return self._stopped(watch.reason, watch.started)
        return self._keep(request, body, watch.started)

    def _keep(self, request: Request, body: dict[str, Any], started: float) -> Outcome:
        try:
            self._store.put_result(request.id, body)
        except OSError as error:
            log.error("the result of job %s cannot be written", request.id, exc_info=error)
            return Outcome("failed", f"its result cannot be written ({error.strerror}); see --results", started)
        except ValueError:  # JSON has no such numbers
            return Outcome("failed", "its result has figures that are not finite; ask for smaller changes", started)
        size, allowed = self._store.size(request.id), self._settings.results_bytes
        if size > allowed:
            self._store.drop_result(request.id)
            return Outcome("failed", f"its result has {size} bytes, and --results-bytes allows {allowed}", started)
        return Outcome("done", None, started)

    def _stopped(self, reason: Reason | None, started: float) -> Outcome | None:
        if reason == "leaving":
            return None
        if reason == "late":
            seconds = f"{self._settings.job_seconds:g}"
            return Outcome("failed", f"it took longer than {seconds} seconds (--job-seconds); ask for less", started)
        return Outcome("cancelled", "it was cancelled", started)

    def _give_up(self, request: Request, started: float, reason: Reason) -> None:
        log.warning("job %s does not end although it should (%s)", request.id, reason)
        outcome = self._stopped(reason, started)
        if outcome is not None:
            self._end(request, outcome)
        self._on_stuck()

    def _end(self, request: Request, outcome: Outcome) -> None:
        try:
            self._store.end(request.id, outcome)
        except OSError as error:  # it counts as lost, for nobody holds its claim any more
            log.error("the outcome of job %s cannot be written", request.id, exc_info=error)
        metrics.JOBS_ENDED.labels(request.kind if request.kind in KINDS else "other", outcome.state).inc()
        if outcome.started is not None:
            metrics.JOB_SECONDS.labels(request.kind).observe(max(0.0, outcome.ended - outcome.started))
        log.info("job %s is %s%s", request.id, outcome.state, f": {outcome.detail}" if outcome.detail else "")


def _explained(request: Request, configuration: Configuration, error: Exception, settings: Settings) -> str:
    """Why a job failed, for a client; more of it goes to the log."""
    if isinstance(error, UserCodeFailed):
        log.warning("job %s: the network %s failed: %s", request.id, configuration.model, error)
        return "the network of this index fails; the log of the service says why"
    if isinstance(error, UnitscopeError):
        return str(error)
    log.error("job %s failed", request.id, exc_info=error)
    if isinstance(error, MemoryError) or "allocate memory" in str(error):
        return f"it needs more memory than --job-bytes allows ({settings.job_bytes} bytes); ask for less"
    return _FAILED
