"""The jobs in a folder that any number of processes and services may share.

::

    RESULTS/lock                  held for moments while something is counted or removed
    RESULTS/<id>/request.json     what is asked for: with it, there is a job
                 claim.json       by whom it is run, see `service.jobs.claims`
                 progress.json    how far that is
                 cancel           somebody wants it to end
                 upload           the image that it is about, if somebody sent one
                 result.json      what came out
                 outcome.json     how it ended

Each file is written whole, and all but ``progress.json`` once. Where a job about an upload is asked for again,
``request.json`` is replaced, as it is kept longer then. The files that are there make the state of a job.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from indexer.errors import NotFound
from indexer.store.atomic import remove
from service.jobs import claims, locks, sealed
from service.jobs.records import Job, Outcome, Request

log = logging.getLogger(__name__)

REQUEST: Final = "request.json"
CANCEL: Final = "cancel"
OUTCOME: Final = "outcome.json"
RESULT: Final = "result.json"
UPLOAD: Final = "upload"
LOCK: Final = "lock"
_ID: Final = re.compile(r"[0-9a-f]{24}")
_LOST: Final = "the process that ran it has ended; ask again to run it again"
_DAMAGED: Final = "its stored result is damaged or gone; ask again to run it again"


class Store:
    """See the module's description. Nothing is made before it is needed; whatever cannot be read raises `OSError`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    # -- reading --------------------------------------------------------------------------------------------------

    def ids(self) -> list[str]:
        """Of all jobs, in no order."""
        try:
            return [name for name in os.listdir(self.root) if _ID.fullmatch(name)]
        except FileNotFoundError:
            return []

    def jobs(self) -> Iterator[Job]:
        """All jobs, in no order."""
        for id_ in self.ids():
            if job := self.job(id_):
                yield job

    def job(self, id_: str) -> Job | None:
        """A job, None where there is none."""
        request = self._read(id_, REQUEST, Request) if _ID.fullmatch(id_) else None
        if request is None or request.id != id_:
            return None
        outcome = self._read(id_, OUTCOME, Outcome)
        return self._unfinished(request) if outcome is None else self._ended(request, outcome)

    def result(self, id_: str) -> Any:
        """The result of a job that is done; None where it is not there, or damaged, which is then removed."""
        try:
            return sealed.read(self._folder(id_) / RESULT)
        except sealed.Damaged:
            log.warning("the result of job %s is damaged; it is removed, and the job counts as lost", id_)
            self.drop_result(id_)
            return None

    def upload(self, id_: str) -> bytes:
        """The image that a job is about.

        Raises
        ------
        NotFound
            It has been deleted.
        """
        try:
            return (self._folder(id_) / UPLOAD).read_bytes()
        except FileNotFoundError as error:
            raise NotFound("the upload that it was about has been deleted") from error

    def touched_at(self, id_: str) -> float:
        """When the last file of a job was made or removed, in seconds since 1970; 0 where there is none."""
        with suppress(FileNotFoundError):
            return os.stat(self._folder(id_)).st_mtime
        return 0.0

    def size(self, id_: str) -> int:
        """Bytes of a job's files."""
        with suppress(FileNotFoundError), os.scandir(self._folder(id_)) as entries:
            return sum(entry.stat().st_size for entry in entries)
        return 0

    def is_cancelled(self, id_: str) -> bool:
        """Whether somebody wants a job to end."""
        return (self._folder(id_) / CANCEL).exists()

    # -- writing --------------------------------------------------------------------------------------------------

    def alone(self) -> AbstractContextManager[None]:
        """Within it, no other process counts or removes jobs."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        return locks.alone(self.root / LOCK)

    def add(self, request: Request, upload: bytes | None = None) -> None:
        """Make a job, in place of one of the same id that has ended. Only within `alone`."""
        folder = self._folder(request.id)
        remove(folder)
        folder.mkdir()
        if upload is not None:
            (folder / UPLOAD).write_bytes(upload)
        sealed.create(folder / REQUEST, request.to_json())
        os.utime(self.root)  # those who look for work see that there is some

    def keep_until(self, job: Job, expires: float | None) -> Job:
        """Keep a job about an upload until then, if that is later; gives the job as it is then. Only within `alone`."""
        if expires is None or job.request.expires is None or job.request.expires >= expires:
            return job
        request = replace(job.request, expires=expires)
        sealed.write(self._folder(job.id) / REQUEST, request.to_json())
        return replace(job, request=request)

    def claim(self, id_: str) -> int | None:
        """See `service.jobs.claims.take`."""
        return claims.take(self._folder(id_))

    def give_back(self, id_: str) -> None:
        """Let somebody else run a job that this process has claimed."""
        for name in (claims.PROGRESS, claims.CLAIM):
            (self._folder(id_) / name).unlink(missing_ok=True)
        os.utime(self.root)

    def put_progress(self, id_: str, done: int | None, total: int | None, started: float) -> None:
        sealed.write(self._folder(id_) / claims.PROGRESS, {"done": done, "total": total, "started": started})

    def beat(self, id_: str) -> None:
        """Say that this process still runs a job."""
        os.utime(self._folder(id_) / claims.PROGRESS)

    def put_result(self, id_: str, body: Any) -> None:
        sealed.write(self._folder(id_) / RESULT, body)

    def drop_result(self, id_: str) -> None:
        (self._folder(id_) / RESULT).unlink(missing_ok=True)

    def end(self, id_: str, outcome: Outcome) -> None:
        """Say how a job ended, unless somebody has said so."""
        sealed.create(self._folder(id_) / OUTCOME, outcome.to_json())

    def cancel(self, id_: str) -> None:
        """Ask for a job's end, and end it at once where nobody runs it."""
        folder = self._folder(id_)
        (folder / CANCEL).touch()
        if not (folder / claims.CLAIM).exists():
            self.end(id_, Outcome("cancelled", "it was cancelled before it ran"))

    def drop_upload(self, id_: str) -> None:
        (self._folder(id_) / UPLOAD).unlink(missing_ok=True)

    def erase(self, id_: str) -> None:
        """Remove the result of a job for good, and keep the rest."""
        outcome = self._read(id_, OUTCOME, Outcome)
        if outcome is not None:
            sealed.write(self._folder(id_) / OUTCOME, replace(outcome, erased=True).to_json())
            self.drop_result(id_)

    def delete(self, id_: str) -> None:
        """Remove a job and all its files. Only within `alone`."""
        remove(self._folder(id_))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _folder(self, id_: str) -> Path:
        return self.root / id_

    def _unfinished(self, request: Request) -> Job:
        folder = self._folder(request.id)
        if not (folder / claims.CLAIM).exists():
            return Job(request, "queued", cancelling=(folder / CANCEL).exists())  # given back before it was seen
        progress: dict[str, Any] = {"started": claims.read(folder).get("started")} | self._progress(folder)
        if claims.is_alive(folder, self.root / LOCK):
            return Job(request, "running", **progress, cancelling=(folder / CANCEL).exists())
        outcome = self._read(request.id, OUTCOME, Outcome)  # it may have ended while this looked
        return self._ended(request, outcome) if outcome else Job(request, "lost", _LOST, **progress)

    def _ended(self, request: Request, outcome: Outcome) -> Job:
        job = Job(
            request, outcome.state, outcome.detail, started=outcome.started, ended=outcome.ended, erased=outcome.erased
        )
        if job.state == "done" and not job.erased and not (self._folder(job.id) / RESULT).exists():
            return replace(job, state="lost", detail=_DAMAGED)
        return job

    @staticmethod
    def _progress(folder: Path) -> dict[str, Any]:
        with suppress(sealed.Damaged):
            return sealed.read(folder / claims.PROGRESS) or {}
        return {}

    def _read(self, id_: str, name: str, kind: type[Any]) -> Any:
        """A record; None where it is not there, or not what it should be."""
        try:
            body = sealed.read(self._folder(id_) / name)
            return None if body is None else kind(**body)
        except (sealed.Damaged, TypeError):
            log.warning("the file %s of job %s is damaged and counts as not there", name, id_)
            return None
