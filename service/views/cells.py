"""One location of a map on an image: its patch, and patches like it."""

from typing import Any

from indexer import pictures
from indexer.defaults import Field
from service.handlers import Drawn, Json, Picture, Question
from service.http.paging import walked
from service.payloads import records


def list_similar(question: Question, image: int, layer: str, y: int, x: int, **options: Any) -> Json:
    page = question.index.similar(layer, image, y, x, **options)
    return walked(page, lambda patch: records.similar_patch(question.links, patch))


def get_patch(
    question: Question,
    image: int,
    layer: str,
    y: int,
    x: int,
    size: int | None,
    context: float,
    outline: bool,
    heat: int | None,
    field: Field,
) -> Picture:
    index = question.index
    record, asked = index.image(image), index.layer(layer)
    cell = asked.check_cell(y, x)
    neuron = None if heat is None else asked.check_neuron(heat)
    versions = question.versions
    version = versions.of_patch(record) if neuron is None else versions.of_heat(record, layer, neuron)
    index.check_field(layer, field)
    if field == "effective":
        version = versions.of_effective(version, layer)

    def draw() -> Drawn:
        patch = pictures.patch(
            index, record, layer, y, x, size=size, context=context, outlined=outline, heat=heat, field=field
        )
        return Drawn(pictures.encode(patch, "JPEG"), "image/jpeg")

    return Picture(version, (layer, cell, size, context, outline, field), draw)
