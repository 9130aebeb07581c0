"""The results of jobs, shown while the generation that they are about is served."""

from collections.abc import Callable
from typing import Any, Final

from flask import Response

from indexer.errors import NotFound
from service.errors import ResultGone
from service.handlers import as_json
from service.http import etags
from service.http.current import current_request
from service.http.paging import cut, link_header, listing
from service.indexes.generations import OpenGeneration
from service.jobs.records import Job
from service.notes.beside import known_names, names_in, put_names
from service.payloads import jobs as payloads
from service.questions import Json, Question, Services, question_of
from service.views.jobs.served import served_job

_OF_KIND: Final = {"importance": payloads.importance, "why": payloads.why, "upload-why": payloads.upload_why}
_OF_CHANGED: Final = {
    "fool": payloads.fooled, "upload-fool": payloads.fooled,
    "dream": payloads.changed_image, "upload-dream": payloads.changed_image,
    "art": payloads.painted, "upload-art": payloads.painted,
}  # fmt: skip


def get_job_result(services: Services, job: str) -> Response:
    return _answer(services, served_job(services, job), _body)


def list_changed(services: Services, job: str, turned: str | None, limit: int, offset: int) -> Response:
    found = served_job(services, job)
    if found.request.kind != "what-if":
        raise NotFound(f"job {job} is of the kind {found.request.kind}; only a what-if has images whose answer changed")

    def page(question: Question, job: Job, result: Json) -> Json:
        items = [one for one in result["changed"] if turned in (None, one["turned"])]
        return listing(cut(items, limit, offset), lambda one: payloads.changed(question.links, question.index, one))

    return _answer(services, found, page, turned, limit, offset)


def get_importance(services: Services, index: str, layer: str) -> Response:
    return _newest(services, "importance", index, layer)


def get_group_why(services: Services, index: str, layer: str) -> Response:
    return _newest(services, "why", index, layer)


def _newest(services: Services, kind: str, index: str, layer: str) -> Response:
    """The result of the last job of a kind about a layer of the present generation."""

    def newest(held: OpenGeneration) -> Job | None:
        held.index.layer(layer)
        done = (
            job for job in services.jobs.all()
            if job.state == "done" and (job.request.kind, job.request.index) == (kind, index)
            and job.request.state == held.state and job.request.parameters["layer"] == layer
        )  # fmt: skip
        return max(done, key=lambda job: (job.ended or 0, job.id), default=None)

    job = services.catalog.ask(index, newest)
    if job is None:
        raise NotFound(
            f"no job of the kind {kind} about {layer} is done on this generation; POST to this URL starts one"
        )
    return _answer(services, job, _body)


def _body(question: Question, job: Job, result: Json) -> Json:
    own = payloads.job_url(question.request.script_root, job.id)
    if job.request.kind == "what-if":
        body = payloads.what_if(question.links, own, result)
    elif job.request.kind in _OF_CHANGED:
        body = _OF_CHANGED[job.request.kind](question.links, question.index, own, result)
    elif job.request.kind == "make":
        body = payloads.made(question.links, own, result)
    else:
        body = _OF_KIND[job.request.kind](question.links, result)
    about = {"job": job.id, "kind": job.request.kind, "index": question.name, "generation": job.request.generation}
    return about | body


def result_of(services: Services, held: OpenGeneration, job: Job) -> Json:
    """The result of a job about the generation that is served.

    Raises
    ------
    NotFound
        The job has none.
    ResultGone
        Its generation is no longer served: there may be images in it that were removed.
    """
    asked = job.request
    if held.state != asked.state:
        again = payloads.links("", job.id, asked.kind, asked.index, asked.parameters, has_result=False)["again"]
        raise ResultGone(
            f"job {job.id} is about generation {asked.generation} of {asked.index}, and {held.index.generation} is "
            f"served; ask again: POST {again}"
        )
    result = services.jobs.result(job) if job.state == "done" else None
    if result is None:
        why = f": {job.detail}" if job.detail else ""
        raise NotFound(f"job {job.id} is {'lost' if job.state == 'done' else job.state} and has no result{why}")
    return result


def _answer(services: Services, job: Job, view: Callable[[Question, Job, Json], Json], *arguments: Any) -> Response:
    """The result of a job, as a view shows it; see `result_of`."""
    request, asked = current_request(), job.request

    def from_generation(held: OpenGeneration) -> Response:
        result = result_of(services, held, job)
        known = known_names(services.notes, held.index)
        decides = (services.contract.digest, request.path, job.id, held.state, known.named, job.ended, arguments)
        body = view(question_of(request, asked.index, held, services), job, result)
        put_names(body, names_in(known, held.index))
        response = as_json(body)
        if arguments:
            response.headers["Link"] = link_header(request, body, None)
        control = etags.REVALIDATE if asked.expires is None else etags.NEVER
        return etags.finish(request, response, etags.tag(*decides), control)

    with services.time():
        return services.catalog.ask(asked.index, from_generation)
