"""Which neurons know this: indexed images, a class, a part of an image, or uploaded images."""

from typing import Any

import numpy as np

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.query import concepts
from service.handlers import Json, Question
from service.payloads import records
from service.uploads import uploaded_files


def find_concept(
    question: Question,
    layer: str,
    images: list[int] | None,
    class_: str | None,
    image: int | None,
    box: dict[str, int] | None,
    **page: Any,
) -> Json:
    given = [name for name, value in (("images", images), ("class", class_), ("image", image)) if value is not None]
    if len(given) != 1 or (image is None) != (box is None):
        raise InvalidRequest("give one of images, class, or image and box; and box only with image")
    if images is not None:
        found = concepts.of_images(question.index, layer, [int(number) for number in images], **page)
    elif class_ is not None:
        found = concepts.of_class(question.index, layer, class_, **page)
    else:
        edges = {name: int(edge) for name, edge in box.items()}
        found = concepts.in_box(question.index, layer, image, box_of(**edges), **page)
    return records.concept(question.links, found)


def lookup_concept(
    question: Question,
    layer: str,
    left: int | None,
    top: int | None,
    right: int | None,
    bottom: int | None,
    **page: Any,
) -> Json:
    index, services = question.index, question.services
    index.layer(layer)  # refuse what cannot be answered before the network has worked for it
    edges = (left, top, right, bottom)
    if 0 < edges.count(None) < 4:
        raise InvalidRequest("left, top, right and bottom are one box: give all four, or none")
    box = None if left is None else box_of(*edges)
    peaks = []
    with services.passes.turn() as network:
        for file in uploaded_files(question.request, one=box is not None):
            seen = network.forward(index.manifest.configuration, file, [layer])
            peaks.append(seen.maps[layer].max(axis=(1, 2)))
    if box is None:
        found = concepts.of_peaks(index, layer, np.stack(peaks), **page)
    else:
        found = concepts.in_maps(index, layer, seen.maps[layer], seen.width, seen.height, box, **page)
    return records.concept(question.links, found)


def box_of(left: int, top: int, right: int, bottom: int) -> Box:
    """A box that holds something.

    Raises
    ------
    InvalidRequest
    """
    if left >= right or top >= bottom:
        raise InvalidRequest("a box needs left < right and top < bottom, in pixels of the original")
    return Box(left, top, right, bottom)
