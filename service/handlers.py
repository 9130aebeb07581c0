"""From a request to its view: the arguments, the index, and no work at all if the client has the answer already.

There are six kinds of views, each with a function of its own here:

- `answer`: JSON, or a document, from one index, the same for as long as its generation is
- `answer_by_network`: the same, where it takes a turn at the network
- `across`: the same from several indexes side by side
- `picture`: a picture from one index, the same for as long as the image and the network are
- `ask`: JSON, or a picture, from one index for a question with a body
- `service_view`: anything about the service as a whole
"""

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Final

from flask import Request, Response

from service.http import etags
from service.http.contract import Operation
from service.http.current import current_request
from service.http.etags import Tagged
from service.http.headers import styled_policy
from service.http.paging import link_header
from service.http.response_cache import Finished
from service.indexes.generations import OpenGeneration
from service.notes.beside import known_names, names_in, put_names, put_names_of_pairs
from service.questions import Binary, Counted, Document, Json, Picture, Services, question_of

MISSING: Final = "X-Missing-Originals"
"""The header that says how many originals a placeholder stands for in a picture."""
JSON_TYPE: Final = "application/json"
_JSON: Final = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":"))


Handler = Callable[..., Response]


def answer(operation: Operation, view: Callable[..., Json | Document | Binary], services: Services) -> Handler:
    return _answer(operation, view, services, nullcontext)


def answer_by_network(
    operation: Operation, view: Callable[..., Json | Document | Binary], services: Services
) -> Handler:
    return _answer(operation, view, services, services.upload_gate.count_in)


def _answer(
    operation: Operation, view: Callable[..., Json | Document | Binary], services: Services, counted: Counted
) -> Handler:
    def handle(**path: str) -> Response:
        request = current_request()
        arguments = operation.arguments(request, path)
        name, generation = arguments.pop("index"), arguments.pop("generation", None)

        def from_generation(held: OpenGeneration) -> Response:
            known = known_names(services.notes, held.index)
            etag = etags.tag(held.state, known.named, services.contract.digest, request.path, sorted(arguments.items()))

            def make() -> Finished:
                body = view(question_of(request, name, held, services), **arguments)
                if not isinstance(body, Binary):
                    put_names(body, names_in(known, held.index))
                return _finished(request, body, arguments, held.index.generation)

            return _kept(request, services, etag, [held.serial], make, counted)

        with services.time():
            return services.catalog.ask(name, from_generation, generation)

    return handle


def across(operation: Operation, view: Callable[..., Json | Document], services: Services) -> Handler:
    def handle() -> Response:
        request = current_request()
        arguments = operation.arguments(request, {})
        names = arguments.pop("index", None) or [arguments.pop("a"), arguments.pop("b")]

        def from_generations(generations: Sequence[OpenGeneration]) -> Response:
            states = [held.state for held in generations]
            known = known_names(services.notes, *(held.index for held in generations))
            asked = sorted(arguments.items())
            etag = etags.tag(states, known.named, names, services.contract.digest, request.path, asked)

            def make() -> Finished:
                questions = [
                    question_of(request, name, held, services) for name, held in zip(names, generations, strict=True)
                ]
                body = view(questions, **arguments)
                put_names_of_pairs(body, [names_in(known, held.index) for held in generations])
                return _finished(request, body, arguments)

            return _kept(request, services, etag, [held.serial for held in generations], make)

        with services.time():
            return services.catalog.ask_several(names, from_generations)

    return handle


def _kept(
    request: Request,
    services: Services,
    etag: str,
    serials: list[int],
    make: Callable[[], Finished],
    counted: Counted = nullcontext,
) -> Response:
    """An answer that is not worked out where the client has it, or it was worked out before of the same generations."""
    if etags.known(request, etag):
        return etags.not_modified(etag, etags.REVALIDATE)
    key = etags.tag(etag, serials, request.script_root, request.query_string)
    return etags.finish(request, services.answers.of(key, make, counted).response(), etag, etags.REVALIDATE)


def picture(operation: Operation, view: Callable[..., Picture], services: Services) -> Handler:
    def handle(**path: str) -> Response:
        request = current_request()
        same = _still_the_same(request, path["index"], services)
        if same is not None:
            return same
        arguments = operation.arguments(request, path)
        name, version = arguments.pop("index"), arguments.pop("version")

        def from_generation(held: OpenGeneration) -> Response:
            drawing = view(question_of(request, name, held, services), **arguments)
            etag = etags.tag(operation.id, drawing.version, drawing.key)
            control = etags.FOR_EVER if version == drawing.version else etags.REVALIDATE
            services.tags.put(_spelling(request), Tagged(etag, control, held.serial))
            if etags.known(request, etag):
                return etags.not_modified(etag, control)
            key = etags.tag(etag, held.serial)
            with drawing.counted():
                drawn = services.drawings.of(key, drawing.draw)
            response = Response(drawn.data, content_type=drawn.media_type)
            if not drawn.missing:
                return etags.finish(request, response, etag, control)
            response.headers[MISSING] = str(drawn.missing)  # they may be back the next time
            return etags.finish(request, response, etags.tag(drawn.data), etags.REVALIDATE)

        with services.time():
            return services.catalog.ask(name, from_generation)

    return handle


def _still_the_same(request: Request, index: str, services: Services) -> Response | None:
    """The answer about a picture that the client has, where it was asked for in the same words before."""
    if not request.if_none_match:
        return None
    said = services.tags.get(_spelling(request))
    if said is None or not etags.known(request, said.etag):
        return None
    serial = services.catalog.ask(index, lambda held: held.serial)
    return etags.not_modified(said.etag, said.control) if serial == said.serial else None


def _spelling(request: Request) -> str:
    return etags.tag(request.path, request.query_string)


def ask(operation: Operation, view: Callable[..., Json | Response], services: Services) -> Handler:
    def handle(**path: str) -> Response:
        request = current_request()
        arguments = operation.arguments(request, path)
        name = arguments.pop("index")

        def from_generation(held: OpenGeneration) -> Finished:
            known = known_names(services.notes, held.index)

            def make() -> Finished:
                body = view(question_of(request, name, held, services), **arguments)
                if not isinstance(body, Response):
                    put_names(body, names_in(known, held.index))
                return _finished_once(body if isinstance(body, Response) else as_json(body))

            if operation.json_body is None:
                return make()
            asked = json.dumps(arguments, sort_keys=True)
            key = etags.tag(held.serial, known.named, request.script_root, request.path, asked)
            return services.bodies.of(key, make)

        with services.time():
            response = services.catalog.ask(name, from_generation).response()
        response.headers["Cache-Control"] = etags.NEVER
        return response

    return handle


def service_view(operation: Operation, view: Callable[..., Response], services: Services) -> Handler:
    def handle(**path: str) -> Response:
        return view(services, **operation.arguments(current_request(), path))

    return handle


def as_json(body: Json) -> Response:
    """A JSON answer; a number that JSON cannot hold is an error here, not at the client."""
    return Response(_JSON.encode(body), content_type=JSON_TYPE)


def _finished(
    request: Request, body: Json | Document | Binary, arguments: Json, generation: int | None = None
) -> Finished:
    if isinstance(body, Binary):
        return Finished(body.data, (("Content-Type", body.media_type),))
    if isinstance(body, Document):
        headers = [("Content-Type", f"{body.media_type}; charset=utf-8")]
        if body.style is not None:
            headers.append(("Content-Security-Policy", styled_policy(body.style)))
        return Finished(body.text.encode("utf-8", "replace"), tuple(headers))
    headers = [("Content-Type", JSON_TYPE)]
    if "offset" in arguments:
        headers.append(("Link", link_header(request, body, generation)))
    return Finished(_JSON.encode(body).encode(), tuple(headers))


def _finished_once(response: Response) -> Finished:
    """An answer that several may get."""
    return Finished(response.get_data(), (("Content-Type", response.headers["Content-Type"]),))
