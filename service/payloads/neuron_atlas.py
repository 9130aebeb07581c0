"""Atlases of neurons as JSON, and their points as a numpy file."""

from typing import Any

import numpy as np

from indexer.derive.neuron_atlas import NeuronAtlas
from indexer.query.neuron_atlas import NeuronPoint, NeuronPoints, NeuronSelection
from service.payloads import records
from service.payloads.atlas import ROW, saved
from service.payloads.links import Links

Json = dict[str, Any]


def atlas(links: Links, layer: str, made: NeuronAtlas, neurons: int, classes: list[str]) -> Json:
    """What an atlas of ``neurons`` neurons was made of, and how true it is."""
    recipe, own = made.recipe, links.neuron_atlas(layer)
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
        "perplexity": recipe.perplexity,
        "neighbours": recipe.neighbours,
        "kept": made.kept,
        "kept_by_two_components": made.kept_by_pca,
        "sampled": recipe.compared,
        "classes": classes,
        "links": {
            "self": own,
            "points": f"{own}/points.npy",
            "patches": f"{own}/patches",
            "selection": f"{own}/selection",
            "layer": links.layer(layer),
        },
    }


def numpy_file(points: NeuronPoints, width: int) -> bytes:
    """The points as a file of `numpy.save`: an array (P,) of `ROW`, whose cell is that of the neuron's top patch."""
    rows = np.empty(len(points), ROW)
    rows["x"], rows["y"] = points.layout.T
    rows["class"], rows["neuron"], rows["image"] = points.classes, points.neurons, points.images
    rows["row"], rows["column"] = np.divmod(points.cells, width)
    return saved(rows)


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
