"""Jobs that change an image, an indexed or an uploaded one: fool the network, dream, paint in a style."""

import hashlib
from typing import Any

from flask import Response

from indexer.errors import InvalidRequest
from indexer.explain.outputs import answering_outputs, output_named
from indexer.query.index import Index
from service.http.current import current_request
from service.questions import Json, Services
from service.uploads import uploaded_file
from service.views.jobs.served import submit


def start_fool(
    services: Services, index: str, image: int, target: str | None, norm: str, most: float | None
) -> Response:
    def check(held: Index) -> None:
        held.image(image)
        _check_target(held, target)

    return submit(services, "fool", index, {"image": image, **_fooling(target, norm, most)}, check)


def start_upload_fool(services: Services, index: str, target: str | None, norm: str, most: float | None) -> Response:
    data = uploaded_file(current_request())
    parameters = _of_upload(data) | _fooling(target, norm, most)
    return submit(services, "upload-fool", index, parameters, lambda held: _check_target(held, target), data)


def start_dream(
    services: Services, index: str, image: int, layer: str, neurons: list[int] | None, **settings: Any
) -> Response:
    asked = None if neurons is None else sorted(int(neuron) for neuron in neurons)

    def check(held: Index) -> None:
        held.image(image)
        _check_neurons(held, layer, asked)

    return submit(services, "dream", index, {"image": image, **_dreaming(layer, asked, settings)}, check)


def start_upload_dream(
    services: Services, index: str, layer: str, neuron: list[int] | None, **settings: Any
) -> Response:
    data = uploaded_file(current_request())
    asked = None if neuron is None else sorted(set(neuron))
    parameters = _of_upload(data) | _dreaming(layer, asked, settings)
    return submit(services, "upload-dream", index, parameters, lambda held: _check_neurons(held, layer, asked), data)


def start_art(
    services: Services, index: str, image: int, style: int, layer: str, style_layers: list[str], **settings: Any
) -> Response:
    if image == style:
        raise InvalidRequest("an image has its own style already; name another one for the style")

    def check(held: Index) -> None:
        held.image(image)
        held.image(style)
        _check_layers(held, layer, style_layers)

    parameters = {"image": image, "style": style, **_painting(layer, style_layers, settings)}
    return submit(services, "art", index, parameters, check)


def start_upload_art(
    services: Services, index: str, other: int, upload_is: str, layer: str, style_layer: list[str], **settings: Any
) -> Response:
    data = uploaded_file(current_request())
    pair = {"image": None, "style": other} if upload_is == "content" else {"image": other, "style": None}

    def check(held: Index) -> None:
        held.image(other)
        _check_layers(held, layer, style_layer)

    parameters = _of_upload(data) | pair | _painting(layer, style_layer, settings)
    return submit(services, "upload-art", index, parameters, check, data)


def _of_upload(data: bytes) -> Json:
    return {"sha256": hashlib.sha256(data).hexdigest()}


def _fooling(target: str | None, norm: str, most: float | None) -> Json:
    return {"target": target, "norm": norm, "most": None if most is None else float(most)}


def _check_target(held: Index, target: str | None) -> None:
    answering_outputs(held)
    if target is not None:
        output_named(held, target)


def _dreaming(layer: str, neurons: list[int] | None, settings: Json) -> Json:
    return {"layer": layer, "neurons": neurons, **_exact(settings)}


def _check_neurons(held: Index, layer: str, neurons: list[int] | None) -> None:
    found = held.layer(layer)
    for neuron in neurons or ():
        found.check_neuron(neuron)


def _painting(layer: str, style_layers: list[str], settings: Json) -> Json:
    return {"layer": layer, "style_layers": list(dict.fromkeys(style_layers)), **_exact(settings)}


def _check_layers(held: Index, layer: str, style_layers: list[str]) -> None:
    for name in (layer, *style_layers):
        held.layer(name)


def _exact(settings: Json) -> Json:
    """Numbers as one type each, so that the same question is the same job however it is spelled."""
    whole = ("octaves", "steps", "seed")
    return {name: int(value) if name in whole else float(value) for name, value in settings.items()}
