"""Views for those who run the service: health, readiness, metrics, the contract and its reference."""

from flask import Response, request

from indexer.errors import UnitscopeError
from service.errors import IndexUnavailable
from service.handlers import as_json
from service.http import etags
from service.http.headers import styled_policy
from service.indexes.generations import OpenGeneration
from service.questions import Json, Services
from service.reference.page import STYLE
from service.telemetry import metrics


def get_health(services: Services) -> Response:
    return as_json({"status": "ok"})


def get_readiness(services: Services) -> Response:
    states = [_state(services, name) for name in services.catalog.names()]
    stranger = services.admission.is_stranger(request)
    if states and not any(state["ready"] for state in states):
        if stranger:
            raise IndexUnavailable("no index is ready; a request with a token is told which are not, and why")
        raise IndexUnavailable("; ".join(f"{state['name']}: {state['detail']}" for state in states))
    status = "ready" if all(state["ready"] for state in states) else "degraded"
    return as_json({"status": status} if stranger else {"status": status, "indexes": states})


def get_metrics(services: Services) -> Response:
    figures = metrics.IndexFigures()
    for name in () if services.admission.is_stranger(request) else _names(services):
        try:
            figures.add(name, *services.catalog.ask(name, _figures))
        except UnitscopeError:
            figures.add_unavailable(name)
    jobs = metrics.JobFigures(services.jobs.counts())
    response = Response(metrics.render(figures, jobs), content_type=metrics.MEDIA_TYPE)
    response.headers["Cache-Control"] = etags.NEVER
    return response


def get_contract(services: Services) -> Response:
    response = Response(services.contract.text, content_type="application/yaml")
    return etags.finish(request, response, etags.tag(services.contract.digest), etags.REVALIDATE)


def get_reference(services: Services) -> Response:
    reference = services.reference()
    response = Response(reference.encode(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = styled_policy(STYLE)
    return etags.finish(request, response, etags.tag(reference), etags.REVALIDATE)


def _state(services: Services, name: str) -> Json:
    try:
        generation = services.catalog.ask(name, lambda held: held.index.generation)
    except UnitscopeError as error:
        return {"name": name, "ready": False, "generation": None, "detail": str(error)}
    return {"name": name, "ready": True, "generation": generation, "detail": None}


def _names(services: Services) -> list[str]:
    try:
        return services.catalog.names()
    except UnitscopeError:
        return []


def _figures(held: OpenGeneration) -> tuple[int, int, int]:
    return held.index.generation, held.index.manifest.images, held.size
