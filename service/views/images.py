"""Indexed images: their files, the neurons that fire on them, and where these fire."""

import io
from typing import Any

from PIL import Image

from indexer import pictures
from indexer.images.bands import MEDIA_TYPE, is_array
from indexer.images.reading import FORMATS
from service.http.paging import listing
from service.payloads import records
from service.questions import Drawn, Json, Picture, Question


def list_images(question: Question, **options: Any) -> Json:
    page = question.index.find_images(**options)
    return listing(page, lambda image: records.image(question.links, image))


def get_image(question: Question, image: int) -> Json:
    return records.image(question.links, question.index.image(image))


def list_firing(question: Question, image: int, **options: Any) -> Json:
    names, page = question.names, question.index.neurons_firing(image, **options)
    return listing(page, lambda firing: records.firing(question.links, names, firing))


def get_image_file(question: Question, image: int) -> Picture:
    record = question.index.image(image)

    def read() -> Drawn:
        data = question.index.original(record)
        return Drawn(data, media_type(data))

    return Picture(question.versions.of_patch(record), (record.id,), read)


def get_image_picture(question: Question, image: int, size: int | None) -> Picture:
    index = question.index
    record = index.image(image)

    def draw() -> Drawn:
        return Drawn(pictures.encode(pictures.whole(index, record, size=size), "JPEG"), "image/jpeg")

    return Picture(question.versions.of_patch(record), (record.id, size), draw)


def get_heatmap(question: Question, image: int, layer: str, neuron: int, size: int | None) -> Picture:
    index = question.index
    record, number = index.image(image), index.layer(layer).check_neuron(neuron)

    def draw() -> Drawn:
        picture = pictures.heat_map(index, record, layer, number, size=size)
        return Drawn(pictures.encode(picture, "PNG"), "image/png")

    return Picture(question.versions.of_heat(record, layer, number), (size,), draw)


def media_type(data: bytes) -> str:
    """The media type of an image file that the index could read."""
    if is_array(data):
        return MEDIA_TYPE
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.format == "MPO":  # a camera's JPEG with more pictures behind it; no browser knows image/mpo
            return "image/jpeg"
        return image.get_format_mimetype() or f"image/x-{(image.format or 'unknown').lower()}"
