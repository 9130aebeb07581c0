"""Contact sheets, tiles, and pictures of why a neuron fires."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from indexer import pictures
from indexer.pictures.lost import LostOriginals
from indexer.pictures.mosaic import mosaic
from indexer.pictures.saliency import saliency
from indexer.pictures.sheet import neuron_numbers, sheet
from indexer.pictures.sheet_draw import raster
from service.inference.loader import UnitAddress
from service.questions import Drawn, Picture, Question
from service.telemetry import metrics
from service.views.masks import attribution_of, mask_asked

if TYPE_CHECKING:
    from indexer.defaults import Method


def get_neuron_sheet(question: Question, layer: str, neuron: int, **options: Any) -> Picture:
    return _sheet(question, layer, [neuron], options)


def get_layer_sheet(question: Question, layer: str, neurons: str, **options: Any) -> Picture:
    return _sheet(question, layer, neuron_numbers(neurons), options)


def get_neuron_tiles(
    question: Question, layer: str, neuron: int, mask: bool, method: "Method", **options: Any
) -> Picture:
    index = question.index
    index.layer(layer).check_neuron(neuron)
    index.check_field(layer, options["field"])
    masked = mask_asked(question, mask, method, options["columns"] * options["rows"])

    def draw() -> Drawn:
        lost = LostOriginals()
        with question.services.drawing_gate.enter():
            drawn = mosaic(index, layer, neuron, lost=lost, mask=masked, **options)
            return Drawn(pictures.encode(drawn, "JPEG"), "image/jpeg", len(lost))

    key = (layer, neuron, mask, method, *sorted(options.items()))
    return Picture(question.versions.of_sheet(), key, draw, partial(_counted, question))


def get_saliency(
    question: Question,
    image: int,
    layer: str,
    y: int,
    x: int,
    neuron: int,
    method: "Method",
    size: int | None,
    context: float,
) -> Picture:
    index, attribution = question.index, attribution_of(question, method)
    record, asked = index.image(image), index.layer(layer)
    key = (layer, asked.check_cell(y, x), asked.check_neuron(neuron), method, size, context)

    def draw() -> Drawn:
        of_cell = partial(attribution, UnitAddress(layer, neuron, y, x))
        picture = saliency(index, of_cell, record, layer, y, x, size=size, context=context)
        return Drawn(pictures.encode(picture, "PNG"), "image/png")

    return Picture(question.versions.of_patch(record), key, draw, question.services.upload_gate.count_in)


def _sheet(question: Question, layer: str, neurons: list[int], options: dict[str, Any]) -> Picture:
    key = (layer, tuple(neurons), *sorted(options.items()))
    patches = len(neurons) * options["columns"] * options["rows"]
    masked = mask_asked(question, options.pop("mask"), options.pop("method"), patches)
    index = question.index
    for neuron in neurons:
        index.layer(layer).check_neuron(neuron)
    index.check_field(layer, options["field"])

    def draw() -> Drawn:
        with question.services.drawing_gate.enter():
            drawn = sheet(index, layer, neurons, mask=masked, **options)
            return Drawn(pictures.encode(raster(drawn), "PNG"), "image/png", len(drawn.lost))

    return Picture(question.versions.of_sheet(), key, draw, partial(_counted, question))


@contextmanager
def _counted(question: Question) -> Iterator[None]:
    """Be counted among those who draw a picture that reads many originals, or wait for it."""
    with metrics.DRAWINGS_WAITING.track_inprogress(), question.services.drawing_gate.count_in():
        yield
