"""Images made for neurons: those that lie beside an index, and those that jobs have made."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from flask import Response

from indexer.errors import DamagedFile, NotFound
from indexer.pictures.sheet import neuron_numbers
from indexer.query.index import Index
from indexer.synthesis.kept import kept_optimal
from indexer.synthesis.recipe import Settings
from service.handlers import as_json
from service.http import etags
from service.http.current import current_request
from service.indexes.generations import OpenGeneration
from service.jobs.records import Request
from service.notes.beside import known_names, names_in, put_names
from service.payloads import jobs as payloads
from service.questions import Json, Services
from service.views.jobs.results import result_of
from service.views.jobs.served import served_job, submit

_PNG: Final = "image/png"
_MAKING: Final = ("make", *payloads.OF_AN_IMAGE, *payloads.OF_AN_UPLOAD)
"""Kinds of jobs that make images."""


def start_make(services: Services, index: str, use: str, layer: str, neurons: list[int], **settings: Any) -> Response:
    asked = sorted(int(neuron) for neuron in neurons)
    Settings(**settings)

    def check(held: Index) -> None:
        for neuron in asked:
            held.layer(layer).check_neuron(neuron)

    settings["rate"] = float(settings["rate"])
    return submit(services, "make", index, {"use": use, "layer": layer, "neurons": asked, **settings}, check)


def get_optimal(services: Services, index: str, layer: str, neuron: int) -> Response:
    def from_generation(held: OpenGeneration) -> Response:
        found = _made_of(services, index, held, layer, [neuron])
        body = _shown(index, layer, neuron, found.get(neuron) or _kept(held.index, layer, neuron))
        put_names(body, names_in(known_names(services.notes, held.index), held.index))
        return _finished(as_json(body), held.state, body)

    return _asked(services, index, from_generation)


def list_optimal(services: Services, index: str, layer: str, neurons: str) -> Response:
    asked = neuron_numbers(neurons)

    def from_generation(held: OpenGeneration) -> Response:
        found = _made_of(services, index, held, layer, asked)
        items = [_listed(held.index, index, layer, neuron, found.get(neuron)) for neuron in asked]
        put_names(items, names_in(known_names(services.notes, held.index), held.index))
        return _finished(as_json({"items": items}), held.state, items)

    return _asked(services, index, from_generation)


def get_optimal_picture(services: Services, index: str, layer: str, neuron: int, version: str | None) -> Response:
    def from_generation(held: OpenGeneration) -> Response:
        made = _made_of(services, index, held, layer, [neuron])
        found = made.get(neuron) or _kept(held.index, layer, neuron)
        if found is None:
            raise NotFound(
                f"no image has been made for neuron {neuron} of {layer}; POST /v1/indexes/{index}/make with "
                f'{{"use": "optimal", "layer": "{layer}", "neurons": [{neuron}]}} makes one'
            )
        return _png(found[1], version)

    return _asked(services, index, from_generation)


def get_made_picture(services: Services, job: str, number: int, version: str | None) -> Response:
    found = served_job(services, job)

    def from_generation(held: OpenGeneration) -> Response:
        images = result_of(services, held, found).get("images", []) if found.request.kind in _MAKING else []
        if number >= len(images):
            raise NotFound(f"job {job} has made {len(images)} images, numbered from 0; it has no image {number}")
        png = base64.b64decode(images[number]["png"])
        return _png(png, version) if found.request.expires is None else _finished(_file(png), png, keep=etags.NEVER)

    return _asked(services, found.request.index, from_generation)


Found = tuple[Json, bytes]
"""What is known of a neuron's optimal input, and its file."""


def _made_of(
    services: Services, name: str, held: OpenGeneration, layer: str, neurons: Sequence[int]
) -> dict[int, Found]:
    """The optimal inputs that jobs have made of some of these neurons, the last of each."""
    for neuron in neurons:
        held.index.layer(layer).check_neuron(neuron)
    found: dict[int, Found] = {}
    done = (job for job in services.jobs.all() if job.state == "done")
    about = [job for job in done if _is_about(job.request, name, held.state, layer)]
    for job in sorted(about, key=lambda job: (job.ended or 0, job.id), reverse=True):
        wanted = set(neurons).intersection(job.request.parameters["neurons"]) - found.keys()
        for image in (services.jobs.result(job) or {}).get("images", []) if wanted else []:
            if image["neuron"] in wanted:
                found[image["neuron"]] = {part: image[part] for part in _ABOUT}, base64.b64decode(image["png"])
    return found


def _kept(index: Index, layer: str, neuron: int) -> Found | None:
    """The one that lies beside the index."""
    kept = kept_optimal(index, layer, neuron)
    return None if kept is None else ({part: kept.about[part] for part in _ABOUT}, kept.data)


def _shown(index: str, layer: str, neuron: int, found: Found | None) -> Json:
    about = dict.fromkeys(_ABOUT) if found is None else found[0]
    own = payloads.optimal_url(current_request().script_root, index, layer, neuron)
    picture = found and payloads.versioned(f"{own}.png", found[1])
    return {"layer": layer, "neuron": neuron, **about, "links": {"picture": picture}}


def _listed(held: Index, index: str, layer: str, neuron: int, made: Found | None) -> Json:
    """One of several; a damaged file is said, and hides none of the others."""
    try:
        return _shown(index, layer, neuron, made or _kept(held, layer, neuron)) | {"detail": None}
    except DamagedFile as error:
        return _shown(index, layer, neuron, None) | {"detail": str(error)}


def _is_about(request: Request, name: str, state: str, layer: str) -> bool:
    about = (request.kind, request.index, request.state)
    return about == ("make", name, state) and request.parameters["layer"] == layer


_ABOUT: Final = ("recipe", "trust", "generation")


def _asked(services: Services, index: str, view: Any) -> Response:
    with services.time():
        response: Response = services.catalog.ask(index, view)
    return response


def _png(data: bytes, version: str | None) -> Response:
    """A picture, which may be kept for ever where its URL has its own version."""
    current = version == payloads.version_of(data)
    return _finished(_file(data), data, keep=etags.FOR_EVER if current else etags.REVALIDATE)


def _file(data: bytes) -> Response:
    return Response(data, content_type=_PNG)


def _finished(response: Response, *decides: Any, keep: str = etags.REVALIDATE) -> Response:
    request = current_request()
    return etags.finish(request, response, etags.tag(request.path, *decides), keep)
