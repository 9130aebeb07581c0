"""The WSGI application.

``create_app(settings)`` registers a route for every operation of openapi.yaml; there are no others.
"""

import re
import secrets
from collections.abc import Callable
from functools import cache, partial
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import flask
from flask import Flask, Response, g
from werkzeug.routing import Rule

from service.access.policy import Admission
from service.access.proxies import Proxies
from service.explorer import Explorer
from service.http import compression, problems, request_log
from service.http.bounded_queue import Gate
from service.http.contract import Contract
from service.http.etags import Tags
from service.http.flights import Flights
from service.http.headers import Browsers
from service.http.response_cache import Answers
from service.indexes.served import catalog_of
from service.inference.encoding import TextEncoder
from service.inference.ipc import RemotePasses
from service.inference.loader import Networks
from service.inference.turns import LocalPasses, Passes
from service.jobs.local import jobs_run_here
from service.jobs.queue import Jobs
from service.notes.database.database import Database
from service.notes.database.place import notes_location
from service.notes.store import Notes
from service.questions import Services
from service.reference import page
from service.settings import Settings
from service.telemetry import metrics
from service.views import VIEWS

MAX_FORM_PARTS = 20
TAGS_KEPT = 4096
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Request(flask.Request):
    """A request whose uploads stay in memory; their size is bounded."""

    max_form_parts = MAX_FORM_PARTS

    def _get_file_stream(self, *_: Any, **__: Any) -> IO[bytes]:
        return BytesIO()


class Route(Rule):
    """A rule that only matches.

    Every rule also compiles two functions that build URLs, which takes a tenth of a second for all of them: more than
    all else that an application does before its first request. Links come from the contract instead.
    """

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
        return _never_built


def _never_built(*_: Any, **__: Any) -> tuple[str, str]:
    raise NotImplementedError("no URL is built from a rule")


class Application(Flask):
    """A Flask application with its shared services."""

    request_class = Request
    url_rule_class = Route
    services: Services

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Every function here is a plain one; finding that out for each, at every request, takes a tenth of it."""
        return func

    def close(self) -> None:
        """Let go of open indexes, once nothing reads them, and of the database of notes."""
        self.services.catalog.close()
        self.services.notes.close()


def create_app(settings: Settings, network: str | None = None) -> Application:
    """Make the application; no index is opened before it is asked for.

    Parameters
    ----------
    network : str, optional
        The socket at which processes that run the network take questions. Without one, this process runs it.
    """
    app = Application("service", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=settings.max_upload_bytes, PROVIDE_AUTOMATIC_OPTIONS=False)
    app.url_map.merge_slashes = False
    app.services = _services(settings, network)
    request_log.install(app, app.services.contract.operations)
    problems.install(app)
    browsers, admission = Browsers(settings.origins), app.services.admission
    app.before_request(_name_request)
    app.before_request(lambda: browsers.preflight(flask.request))
    app.before_request(lambda: admission.check(flask.request))
    app.after_request(partial(_finish, browsers))
    for operation in app.services.contract.operations:
        make_handler, view = VIEWS[operation.id]
        handler = make_handler(operation, view, app.services)
        app.add_url_rule(operation.rule, operation.id, handler, methods=[operation.method])
    app.wsgi_app = Proxies(app.wsgi_app, settings.prefix, settings.trusted_proxies)  # type: ignore[method-assign]
    return app


def _services(settings: Settings, network: str | None) -> Services:
    shared = Path(network).parent if network else None
    catalog = catalog_of(settings, shared)
    gate = Gate(settings.forward_passes, settings.forward_queue, settings.forward_wait, "uploads", metrics.REFUSED)
    passes: Passes
    jobs = Jobs(settings)
    if network is None:
        encoder = TextEncoder(settings.encoder, settings.encoder_args)
        networks = Networks(settings.model, settings.weights, settings.max_pixels, settings.model_args, encoder)
        passes = LocalPasses(networks, gate)
        jobs = jobs_run_here(settings, catalog, networks)
    else:
        passes = RemotePasses(network, gate, settings.forward_wait, settings.forward_seconds)
    contract = Contract.load()
    return Services(
        settings=settings,
        contract=contract,
        reference=cache(partial(page.page, contract)),
        catalog=catalog,
        jobs=jobs,
        notes=_notes(settings),
        answers=Answers(settings.answer_bytes),
        tags=Tags(TAGS_KEPT),
        explorer=Explorer.load(),
        upload_gate=gate,
        drawing_gate=Gate(
            settings.drawings, settings.drawing_queue, settings.drawing_wait, "sheets and tiles",
            metrics.DRAWINGS_REFUSED,
        ),
        passes=passes,
        admission=Admission(settings, contract, shared),
        drawings=Flights(),
        bodies=Flights(),
    )  # fmt: skip


def _notes(settings: Settings) -> Notes:
    location = notes_location(settings)
    return Notes(None if location is None else Database(location))


def _name_request() -> None:
    given = flask.request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _finish(browsers: Browsers, response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    browsers.finish(flask.request, response)
    compression.compress(flask.request, response)
    return response
