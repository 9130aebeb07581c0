"""The jobs as requests see them: asked for, looked at, ended.

Any process of any service that shares the folder gives the same answers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from indexer.errors import NotFound
from service.errors import Busy, JobsUnavailable
from service.jobs.folder import check_own, results_folder
from service.jobs.records import ENDED, STATES, Job, Request
from service.jobs.store import Store
from service.settings import Settings

RETRY_SECONDS: Final = 5
_NO_FOLDER: Final = "jobs need a folder for their results; start the service with --results (UNITSCOPE_RESULTS)"


class Jobs:
    """See the module's description.

    Parameters
    ----------
    woken : callable ()
        Called when there is a new job.
    """

    def __init__(self, settings: Settings, woken: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._woken = woken
        folder = results_folder(settings)
        self._store = Store(folder) if folder else None

    def submit(self, request: Request, upload: bytes | None = None) -> Job:
        """The job for a request: the one that there is, or a new one if there is none, or it has no result.

        ``upload`` is the image that it is about, which is kept for as long as the job is: as long as whoever asked last
        was promised.

        Raises
        ------
        JobsUnavailable
        Busy
            Too many wait, or this one is being cancelled.
        """
        with self._folder() as store, store.alone():
            job = store.job(request.id)
            if job is not None and job.cancelling:
                raise Busy(f"job {job.id} is being cancelled; ask again once it has ended", RETRY_SECONDS)
            if job is not None and not _is_gone(job) and self._answers(store, job):
                return store.keep_until(job, request.expires)
            waiting = sum(other.state == "queued" for other in store.jobs())
            if waiting >= self._settings.job_queue:
                raise Busy(
                    f"{waiting} jobs wait already, as many as --job-queue allows; try again later", RETRY_SECONDS
                )
            store.add(request, upload)
        self._woken()
        return Job(request, "queued")

    @staticmethod
    def _answers(store: Store, job: Job) -> bool:
        """Whether a job has a result, or will have one."""
        return job.state in ("queued", "running") or (job.state == "done" and store.result(job.id) is not None)

    def get(self, id_: str) -> Job:
        """A job. One whose result is damaged is lost.

        Raises
        ------
        NotFound, JobsUnavailable
        """
        with self._folder() as store:
            job = store.job(id_)
            if job is not None and job.state == "done" and not job.erased and store.result(id_) is None:
                job = store.job(id_)
        if job is None or _is_gone(job):
            raise NotFound(f"there is no job {id_[:100]!r}; /v1/jobs lists those that there are")
        return job

    def result(self, job: Job) -> dict[str, Any] | None:
        """The result of a job that is done; None where it is not there, or damaged.

        Raises
        ------
        JobsUnavailable
        """
        with self._folder() as store:
            result: dict[str, Any] | None = store.result(job.id)
        return result

    def all(self) -> list[Job]:
        """All jobs, the newest first; none where there is no folder.

        Raises
        ------
        JobsUnavailable
            The folder cannot be read.
        """
        if self._store is None:
            return []
        with self._folder() as store:
            kept = (job for job in store.jobs() if not _is_gone(job))
            return sorted(kept, key=lambda job: (-job.request.created, job.id))

    def end(self, job: Job) -> Job | None:
        """Cancel a job, or remove one that has ended; gives what is left of it.

        Raises
        ------
        JobsUnavailable
        """
        with self._folder() as store, store.alone():
            now = store.job(job.id)  # it may have ended, or been asked for again, since it was looked at
            if now is not None and now.state not in ENDED:
                store.cancel(job.id)
                store.drop_upload(job.id)
                return store.job(job.id)
            store.delete(job.id)
            return None

    def counts(self) -> dict[str, int]:
        """How many jobs there are in each state; none where that cannot be seen."""
        try:
            states = [job.state for job in self.all()]
        except JobsUnavailable:
            states = []
        return {state: states.count(state) for state in STATES}

    @contextmanager
    def _folder(self) -> Iterator[Store]:
        if self._store is None:
            raise JobsUnavailable(_NO_FOLDER)
        try:
            check_own(Path(self._store.root), self._settings)
            yield self._store
        except OSError as error:
            raise JobsUnavailable(
                f"the folder for the results of jobs cannot be used ({error.strerror}); --results (UNITSCOPE_RESULTS) "
                "must name one that the service can write to"
            ) from error


def _is_gone(job: Job) -> bool:
    """Whether a job about an upload has ended and its time is over, be it removed yet or not."""
    return job.has_expired and job.state in ENDED
