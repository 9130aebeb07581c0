"""One location of a map on an image: its patch, and patches like it."""

from contextlib import nullcontext
from functools import partial
from typing import Any

from indexer import pictures
from indexer.defaults import Field, Method
from indexer.errors import InvalidRequest
from indexer.query.records import ImageRecord
from service.http.paging import walked
from service.inference.loader import UnitAddress
from service.payloads import records
from service.payloads.versions import Versions
from service.questions import Drawn, Json, Picture, Question
from service.views.masks import mask_asked


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
    mask: bool,
    neuron: int | None,
    method: Method,
) -> Picture:
    index = question.index
    record, asked = index.image(image), index.layer(layer)
    cell = asked.check_cell(y, x)
    for number in (heat, neuron):
        if number is not None:
            asked.check_neuron(number)
    index.check_field(layer, field)
    if mask != (neuron is not None):
        raise InvalidRequest("mask=true and neuron go together: the mask shows what matters to one neuron at this cell")
    masked = partial(mask_asked(question, mask, method, 1), UnitAddress(layer, neuron or 0, y, x))

    def draw() -> Drawn:
        patch = pictures.patch(
            index, record, layer, y, x, size=size, context=context, outlined=outline, heat=heat, field=field,
            mask=masked,
        )  # fmt: skip
        return Drawn(pictures.encode(patch, "JPEG"), "image/jpeg")

    key = (layer, cell, size, context, outline, field, mask, neuron, method)
    counted = question.services.upload_gate.count_in if mask else nullcontext
    return Picture(_version(question.versions, record, layer, heat, field), key, draw, counted)


def _version(versions: Versions, image: ImageRecord, layer: str, heat: int | None, field: Field) -> str:
    """The version of a patch's picture."""
    version = versions.of_patch(image) if heat is None else versions.of_heat(image, layer, heat)
    return versions.of_effective(version, layer) if field == "effective" else version
