"""Atlases of neurons as JSON."""

from typing import Any

from indexer.derive.carried.neuron_atlas import NeuronAtlas
from indexer.query.atlases.neuron_atlas import NeuronPoint, NeuronSelection
from service.payloads import records
from service.payloads.atlas import how_true, links_of
from service.payloads.links import Links

Json = dict[str, Any]


def atlas(links: Links, layer: str, made: NeuronAtlas, neurons: int, classes: list[str]) -> Json:
    """What an atlas of ``neurons`` neurons was made of, and how true it is."""
    recipe = made.recipe
    return {
        "layer": layer,
        "points": len(made),
        "left_out": neurons - len(made),
        "made_of": {
            "images": recipe.images,
            "over": recipe.over,
            "generation": recipe.generation,
            "seed": recipe.seed,
        },
        **how_true(made),
        "classes": classes,
        "links": links_of(links.neuron_atlas(layer), links.layer(layer)),
    }


def point(links: Links, record: NeuronPoint) -> Json:
    patch, (x, y) = record.patch, record.layout
    return {
        "x": x,
        "y": y,
        "layer": patch.layer,
        "neuron": record.neuron,
        "best_class": record.best_class,
        "image": patch.image.id,
        "path": patch.image.path,
        "class": patch.image.class_,
        "cell": records.cell(patch.y, patch.x),
        "links": {
            "neuron": links.neuron(patch.layer, record.neuron),
            "patch": links.patch(patch.image, patch.layer, patch.y, patch.x),
            "image": links.image(patch.image),
        },
    }


def selection(links: Links, layer: str, found: NeuronSelection) -> Json:
    return {
        "layer": layer,
        "total": found.total,
        "classes": [{"class": name, "neurons": count} for name, count in found.classes],
        "neurons": [point(links, record) for record in found.neurons],
        "links": {"atlas": links.neuron_atlas(layer), "layer": links.layer(layer)},
    }
