"""The atlas of a layer's neurons: what it is, its points, neurons of a part of it, and those within a polygon."""

from indexer.query.atlases.neuron_atlas import neuron_atlas, neuron_points, select_neurons, spread_neurons
from service.payloads import atlas as atlas_payloads
from service.payloads import neuron_atlas as payloads
from service.questions import Binary, Json, Question


def get_neuron_atlas(question: Question, layer: str) -> Json:
    made, neurons = neuron_atlas(question.index, layer), question.index.layer(layer).info.channels
    return payloads.atlas(question.links, layer, made, neurons, question.index.classes)


def get_neuron_atlas_points(question: Question, layer: str) -> Binary:
    points = neuron_points(question.index, layer)
    file = atlas_payloads.numpy_file(points, question.index.layer(layer).info.width)
    return Binary(file, "application/octet-stream")


def list_neuron_atlas_patches(
    question: Question, layer: str, left: float, top: float, right: float, bottom: float, columns: int, rows: int
) -> Json:
    shown = spread_neurons(question.index, layer, left, top, right, bottom, columns, rows)
    return {"items": [payloads.point(question.links, point) for point in shown]}


def select_in_neuron_atlas(question: Question, layer: str, polygon: list[list[float]], limit: int) -> Json:
    found = select_neurons(question.index, layer, [(x, y) for x, y in polygon], limit)
    return payloads.selection(question.links, layer, found)
