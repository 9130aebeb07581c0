"""Layers, their neurons, and the patches for which these fire."""

from typing import Any

from indexer.errors import InvalidRequest
from indexer.query.learning.groups import groups
from indexer.query.learning.neurons import aucs, table
from indexer.query.records import PerImage
from service.http.paging import DEEPEST, cut, listing, walked, whole
from service.payloads import records
from service.questions import Json, Question


def list_layers(question: Question) -> Json:
    return listing(whole(list(question.index.layers)), lambda name: layer_json(question, name))


def get_layer(question: Question, layer: str) -> Json:
    return layer_json(question, layer)


def list_neurons(
    question: Question, layer: str, order: str, limit: int, offset: int, class_: str | None, **options: Any
) -> Json:
    statistics = table(question.index, layer)
    numbers = statistics.ranked(descending=order == "desc", class_=class_, **options)
    page = cut(numbers.tolist(), limit, offset)
    return listing(page, lambda number: records.neuron(question.links, layer, number, statistics))


def get_neuron(question: Question, layer: str, neuron: int, bins: int, depth: int) -> Json:
    index = question.index
    edges, counts = index.histogram(layer, neuron, bins)
    classes = index.top_classes(layer, neuron, depth)
    bounds = edges.tolist()
    return {
        **records.neuron(question.links, layer, neuron, table(index, layer)),
        "histogram": [
            {"from": low, "to": high, "count": count}
            for low, high, count in zip(bounds, bounds[1:], counts.tolist(), strict=False)
        ],
        "top_classes": [{"class": name, "share": share} for name, share in classes],
        "aucs": aucs(index, layer, neuron),
    }


def list_groups(question: Question, layer: str, neuron: int) -> Json:
    found = groups(question.index, layer, neuron)
    return {
        "layer": layer,
        "neuron": neuron,
        "scores": records.layer_scores(question.index.layer(layer).scored()),
        "groups": [
            {"clarity": group.clarity, "patches": [records.patch(question.links, patch) for patch in group.patches]}
            for group in found
        ],
    }


def list_patches(
    question: Question, layer: str, neuron: int, offset: int, per_image: PerImage, y: int | None, **options: Any
) -> Json:
    by_cell = per_image == "all" or y is not None
    if by_cell and offset > DEEPEST:
        raise InvalidRequest(
            f"offset must be at most {DEEPEST} with per_image=all or with y and x, not {offset}: the service finds all "
            "patches before it first"
        )
    page = question.index.top_patches(layer, neuron, offset=offset, per_image=per_image, y=y, **options)
    return (walked if by_cell else listing)(page, lambda patch: records.patch(question.links, patch))


def layer_json(question: Question, name: str) -> Json:
    """The record of a layer, with its number of dead neurons."""
    info = question.index.layer(name).info
    dead = int(question.index.neuron_statistics(name)["dead"].sum())
    layer = question.index.layer(name)
    by_text = question.index.has_patch_vectors(name)
    return records.layer(question.links, info, dead, question.index.effective_field(name), layer.scores, by_text)
