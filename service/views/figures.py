"""Contact sheets, tiles, and why a neuron fires."""

import numpy as np

from indexer import pictures
from indexer.images.geometry import Box
from indexer.pictures.mosaic import mosaic
from indexer.pictures.saliency import saliency
from indexer.pictures.sheet import neuron_numbers, sheet
from indexer.pictures.sheet_draw import raster
from service.dispatch import Picture, Question
from service.networks import Unit


def get_neuron_sheet(question: Question, layer: str, neuron: int, **options: object) -> Picture:
    return _sheet(question, layer, [neuron], options)


def get_layer_sheet(question: Question, layer: str, neurons: str, **options: object) -> Picture:
    return _sheet(question, layer, neuron_numbers(neurons), options)


def get_neuron_tiles(question: Question, layer: str, neuron: int, **options: object) -> Picture:
    index = question.index
    index.layer(layer).check_neuron(neuron)

    def draw() -> tuple[bytes, str]:
        return pictures.encode(mosaic(index, layer, neuron, **options), "JPEG"), "image/jpeg"

    return Picture(question.versions.of_sheet(), (layer, neuron, *sorted(options.items())), draw)


def get_saliency(
    question: Question,
    image: int,
    layer: str,
    y: int,
    x: int,
    neuron: int,
    method: str,
    size: int | None,
    context: float,
) -> Picture:
    index, services = question.index, question.services
    record, found = index.image(image), index.layer(layer)
    key = (layer, found.check_cell(y, x), found.check_neuron(neuron), method, size, context)

    def attribution(pixels: np.ndarray, field: Box | None) -> np.ndarray:
        with services.passes.turn() as network:
            return network.attribute(index.manifest.configuration, Unit(layer, neuron, y, x), method, pixels, field)

    def draw() -> tuple[bytes, str]:
        picture = saliency(index, attribution, record, layer, y, x, size=size, context=context)
        return pictures.encode(picture, "PNG"), "image/png"

    return Picture(question.versions.of_patch(record), key, draw)


def _sheet(question: Question, layer: str, neurons: list[int], options: dict) -> Picture:
    index = question.index
    for neuron in neurons:
        index.layer(layer).check_neuron(neuron)

    def draw() -> tuple[bytes, str]:
        with question.services.gate.enter():  # it may read many originals
            return pictures.encode(raster(sheet(index, layer, neurons, **options)), "PNG"), "image/png"

    key = (layer, tuple(neurons), *sorted(options.items()))
    return Picture(question.versions.of_sheet(), key, draw)
