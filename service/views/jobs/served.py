"""Jobs: submitted, listed, looked at, ended."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from flask import Response, g

from indexer.errors import NotFound, UnitscopeError
from indexer.query.index import Index
from service.handlers import as_json
from service.http import etags
from service.http.current import current_request
from service.http.paging import cut, link_header, listing
from service.indexes.generations import OpenGeneration
from service.jobs.kinds.registry import KINDS
from service.jobs.records import Job, Request
from service.payloads import jobs as payloads
from service.questions import Json, Services

_ACCEPTED: Final = 202


def list_jobs(
    services: Services, index: str | None, kind: str | None, state: str | None, limit: int, offset: int
) -> Response:
    served, request = set(services.catalog.names()), current_request()
    wanted = {"index": index, "kind": kind, "state": state}
    found = [
        job
        for job in services.jobs.all()
        if job.request.index in served
        and _may_see(services, job)
        and all(value in (None, own) for own, value in zip(_filters(job), wanted.values(), strict=True))
    ]
    states = dict(_states(services, {job.request.index for job in found}))
    body = listing(cut(found, limit, offset), lambda job: _json(services, job, states.get(job.request.index)))
    response = _fresh(as_json(body))
    response.headers["Link"] = link_header(request, body, None)
    return response


def get_job(services: Services, job: str) -> Response:
    return _fresh(as_json(_shown(services, served_job(services, job))))


def delete_job(services: Services, job: str) -> Response:
    found = served_job(services, job)
    services.admission.check_end(current_request(), found.request.owner)
    left = services.jobs.end(found)
    if left is None:
        return _fresh(Response(status=204))
    response = _fresh(as_json(_shown(services, left)))
    response.status_code = _ACCEPTED
    return response


def served_job(services: Services, id_: str) -> Job:
    """A job about an index that is served here.

    Raises
    ------
    NotFound
    """
    job = services.jobs.get(id_)
    if not _may_see(services, job):
        raise NotFound(f"there is no job {id_!r}; /v1/jobs lists those that there are")
    if job.request.index not in services.catalog.names():
        raise NotFound(f"job {id_} is about an index that is not served here")
    return job


def _may_see(services: Services, job: Job) -> bool:
    """Whether a job is for the eyes of whoever asks: one about an upload is for the token that made it."""
    return job.request.expires is None or services.admission.may_read_upload(current_request(), job.request.owner)


def submit(
    services: Services,
    kind: str,
    index: str,
    parameters: Json,
    check: Callable[[Index], None],
    upload: bytes | None = None,
) -> Response:
    """Accept a job, once its generation has passed the check; one about an upload is kept for a while."""
    expires = None if upload is None else time.time() + services.settings.upload_seconds

    def from_generation(held: OpenGeneration) -> tuple[Job, str]:
        check(held.index)
        version, number = KINDS[kind].version, held.index.generation
        asked = Request(kind, version, index, held.state, number, parameters, g.get("token"), expires=expires)
        return services.jobs.submit(asked, upload), held.state

    with services.time():
        job, state = services.catalog.ask(index, from_generation)
    response = _fresh(as_json(_json(services, job, state)))
    response.status_code = _ACCEPTED
    response.headers["Location"] = payloads.job_url(current_request().script_root, job.id)
    return response


def _filters(job: Job) -> tuple[str, str, str]:
    return job.request.index, job.request.kind, job.state


def _states(services: Services, names: set[str]) -> Iterator[tuple[str, str]]:
    """The state of each index that can be opened now."""
    for name in names:
        try:
            yield name, services.catalog.ask(name, lambda held: held.state)
        except UnitscopeError:
            continue


def _shown(services: Services, job: Job) -> Json:
    return _json(services, job, dict(_states(services, {job.request.index})).get(job.request.index))


def _json(services: Services, job: Job, state: str | None) -> Json:
    """A job; ``state`` is that of its index now, None where that is not known."""
    request, asked = current_request(), job.request
    current = None if state is None else state == asked.state
    return {
        "job": job.id, "kind": asked.kind, "index": asked.index, "generation": asked.generation, "current": current,
        "parameters": asked.parameters, "state": job.state, "detail": job.detail, "done": job.done, "total": job.total,
        "cancelling": job.cancelling, "may_end": services.admission.may_end(request, asked.owner),
        **payloads.times(
            {"created": asked.created, "started": job.started, "ended": job.ended, "expires": asked.expires}
        ),
        "links": payloads.links(
            request.script_root, job.id, asked.kind, asked.index, asked.parameters,
            has_result=job.state == "done" and bool(current),
        ),
    }  # fmt: skip


def _fresh(response: Response) -> Response:
    response.headers["Cache-Control"] = etags.NEVER
    return response
