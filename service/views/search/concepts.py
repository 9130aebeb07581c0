"""Neurons that know a concept, given by indexed images, a class, a part of an image, or uploaded images."""

from typing import Any

import numpy as np

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.query.searching import concepts
from indexer.query.searching.contrast import Against
from service.payloads import records
from service.questions import Json, Question
from service.uploads import uploaded_files


def find_concept(
    question: Question,
    layer: str,
    images: list[int] | None,
    class_: str | None,
    image: int | None,
    box: dict[str, int] | None,
    against: dict[str, Any] | None,
    unlike: float | None,
    **page: Any,
) -> Json:
    against_what = _against(unlike, **(against or {}))
    if box is not None and against_what != Against():
        raise InvalidRequest("a box is compared with the other cells of its image; against and unlike are for images")
    match images, class_, image, box:
        case list(), None, None, None:
            concept = concepts.of_images(
                question.index, layer, [int(number) for number in images], against_what, **page
            )
        case None, str(), None, None:
            concept = concepts.of_class(question.index, layer, class_, against_what, **page)
        case None, None, int(), dict():
            edges = {name: int(edge) for name, edge in box.items()}
            concept = concepts.in_box(question.index, layer, image, box_of(**edges), **page)
        case _:
            raise InvalidRequest("give one of images, class, or image and box; and box only with image")
    return records.concept(question.links, question.names, concept)


def lookup_concept(
    question: Question,
    layer: str,
    left: int | None,
    top: int | None,
    right: int | None,
    bottom: int | None,
    against_class: str | None,
    against_images: str | None,
    unlike: float | None,
    **page: Any,
) -> Json:
    others = None if against_images is None else [int(number) for number in against_images.split(",")]
    against = Against(others, against_class, unlike)
    index, services = question.index, question.services
    index.layer(layer)  # refuse an unknown layer before the network runs
    box: Box | None
    match left, top, right, bottom:
        case int(), int(), int(), int():
            box = box_of(left, top, right, bottom)
        case None, None, None, None:
            box = None
        case _:
            raise InvalidRequest("left, top, right and bottom are one box: give all four, or none")
    if box is not None and against != Against():
        raise InvalidRequest("a box is compared with the other cells; against_… and unlike are for whole images")
    peaks = []
    with services.passes.turn() as network:
        for file in uploaded_files(question.request, single=box is not None):
            result = network.forward(index.manifest.configuration, file, [layer])
            peaks.append(result.maps[layer].max(axis=(1, 2)))
    if box is None:
        concept = concepts.of_peaks(index, layer, np.stack(peaks), against, **page)
    else:
        concept = concepts.in_maps(index, layer, result.maps[layer], result.width, result.height, box, **page)
    return records.concept(question.links, question.names, concept)


def _against(unlike: float | None, images: list[int] | None = None, **class_: str) -> Against:
    """From the body's ``against``, whose class is called ``class`` there."""
    named = None if images is None else [int(number) for number in images]
    return Against(named, class_.get("class"), unlike)


def box_of(left: int, top: int, right: int, bottom: int) -> Box:
    """A box that is not empty.

    Raises
    ------
    InvalidRequest
    """
    if left >= right or top >= bottom:
        raise InvalidRequest("a box needs left < right and top < bottom, in pixels of the original")
    return Box(left, top, right, bottom)
