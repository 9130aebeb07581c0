"""What fires at a point of an image, and where a neuron fires on it: for indexed images and for uploaded ones."""

from collections.abc import Callable

import numpy as np
from flask import Response
from PIL import Image

from indexer import pictures
from indexer.query.point import Spot, at_point, at_point_on
from service import shapes
from service.dispatch import Json, Question
from service.uploads import uploaded_picture


def get_point(
    question: Question, image: int, x: float, y: float, layer: str | None, fraction: float | None, limit: int
) -> Json:
    layers = list(question.index.layers) if layer is None else [layer]
    spots = at_point(question.index, image, (x, y), layers, fraction=fraction, limit=limit)
    record = question.index.image(image)
    return _point(x, y, spots, lambda spot: shapes.spot(question.links, record, spot))


def lookup_point(question: Question, x: float, y: float, layer: str | None, fraction: float | None, limit: int) -> Json:
    if layer is not None:
        question.index.layer(layer)  # refuse what cannot be answered before the network has worked for it
    picture, maps = _maps(question)
    asked = maps if layer is None else {layer: maps[layer]}
    spots = at_point_on(question.index, asked, picture.size, (x, y), fraction=fraction, limit=limit)
    return _point(x, y, spots, lambda spot: shapes.upload_spot(question.links, spot))


def lookup_heatmap(question: Question, layer: str, neuron: int, size: int | None) -> Response:
    index = question.index
    index.layer(layer).check_neuron(neuron)
    picture, maps = _maps(question)
    drawn = pictures.heat_map_of(index, picture, maps[layer][neuron], layer, neuron, size=size)
    return Response(pictures.encode(drawn, "PNG"), content_type="image/png")


def _maps(question: Question) -> tuple[Image.Image, dict[str, np.ndarray]]:
    """The uploaded picture and the maps (C, H, W) of every layer on it."""
    services = question.services
    with services.gate.enter():
        picture = uploaded_picture(question.request, services.settings.max_pixels)
        return picture, services.networks.maps(question.index, picture)


def _point(x: float, y: float, spots: list[Spot], shape: Callable[[Spot], Json]) -> Json:
    return {"x": x, "y": y, "layers": [shape(spot) for spot in spots]}
