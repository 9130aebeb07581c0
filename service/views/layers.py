"""Layers, their neurons, and what those fire for."""

import numpy as np

from service import shapes
from service.dispatch import Json, Question
from service.paging import cut, listing, whole


def list_layers(question: Question) -> Json:
    return listing(whole(list(question.index.layers)), lambda name: layer_json(question, name))


def get_layer(question: Question, layer: str) -> Json:
    return layer_json(question, layer)


def list_neurons(
    question: Question, layer: str, sort: str, order: str, dead: bool | None, limit: int, offset: int
) -> Json:
    statistics = question.index.neuron_statistics(layer)
    numbers = ranked(statistics, sort, dead, descending=order == "desc")
    page = cut(numbers.tolist(), limit, offset)
    return listing(page, lambda number: shapes.neuron(question.links, layer, number, statistics))


def get_neuron(question: Question, layer: str, neuron: int, bins: int, depth: int) -> Json:
    index = question.index
    edges, counts = index.histogram(layer, neuron, bins)
    classes = index.top_classes(layer, neuron, depth)
    bounds = edges.tolist()
    return {
        **shapes.neuron(question.links, layer, neuron, index.neuron_statistics(layer)),
        "histogram": [
            {"from": low, "to": high, "count": count}
            for low, high, count in zip(bounds, bounds[1:], counts.tolist(), strict=False)
        ],
        "top_classes": [{"class": name, "share": share} for name, share in classes],
    }


def list_patches(question: Question, layer: str, neuron: int, **options: object) -> Json:
    page = question.index.top_patches(layer, neuron, **options)
    return listing(page, lambda patch: shapes.patch(question.links, patch))


def layer_json(question: Question, name: str) -> Json:
    """A layer with its totals."""
    info = question.index.layer(name).info
    dead = int(question.index.neuron_statistics(name)["dead"].sum())
    return shapes.layer(question.links, info, dead)


def ranked(statistics: dict[str, np.ndarray], sort: str, dead: bool | None, *, descending: bool) -> np.ndarray:
    """Numbers of neurons by one of their statistics, equals by number; only dead ones or only others where asked."""
    numbers = np.arange(len(statistics["dead"]))
    if dead is not None:
        numbers = numbers[statistics["dead"] == dead]
    keys = numbers if sort == "neuron" else statistics[sort][numbers]
    return numbers[np.argsort(-keys if descending else keys, kind="stable")]
