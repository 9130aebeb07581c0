"""Neurons that fire at a point of an image, and heat maps of a neuron, for indexed and for uploaded images."""

from collections.abc import Callable

from flask import Response

from indexer import pictures
from indexer.images.reading import read_picture
from indexer.query.point import Spot, at_point, at_point_on
from service.payloads import records
from service.questions import Json, Question
from service.uploads import forward_upload, uploaded_file


def get_point(
    question: Question, image: int, x: float, y: float, layer: str | None, fraction: float | None, limit: int
) -> Json:
    layers = list(question.index.layers) if layer is None else [layer]
    spots = at_point(question.index, image, (x, y), layers, fraction=fraction, limit=limit)
    names, record = question.names, question.index.image(image)
    return _point(x, y, spots, lambda spot: records.spot(question.links, names, record, spot))


def lookup_point(question: Question, x: float, y: float, layer: str | None, fraction: float | None, limit: int) -> Json:
    result = forward_upload(question, None if layer is None else [layer])
    spots = at_point_on(
        question.index, result.maps, (result.width, result.height), (x, y), fraction=fraction, limit=limit
    )
    names = question.names
    return _point(x, y, spots, lambda spot: records.upload_spot(question.links, names, spot))


def lookup_heatmap(question: Question, layer: str, neuron: int, size: int | None) -> Response:
    index = question.index
    index.layer(layer).check_neuron(neuron)
    data = uploaded_file(question.request)
    with (
        question.services.passes.turn() as network
    ):  # the turn bounds how many pictures are decoded and drawn at a time
        result = network.forward(index.manifest.configuration, data, [layer])
        value_range = index.manifest.configuration.preprocessing.value_range
        picture = read_picture(data, question.services.settings.max_pixels, value_range)
        drawn = pictures.heat_map_of(index, picture, result.maps[layer][neuron], layer, neuron, size=size)
    return Response(pictures.encode(drawn, "PNG"), content_type="image/png")


def _point(x: float, y: float, spots: list[Spot], shape: Callable[[Spot], Json]) -> Json:
    return {"x": x, "y": y, "layers": [shape(spot) for spot in spots]}
