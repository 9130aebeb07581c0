"""Atlases as JSON, and their points as a numpy file."""

import io
from typing import Any, Final

import numpy as np

from indexer.derive.carried.atlas import Atlas
from indexer.derive.carried.neuron_atlas import NeuronAtlas
from indexer.query.atlases.atlas import AtlasPoint, Points, Selection
from indexer.query.atlases.neuron_atlas import NeuronPoints
from indexer.query.learning.answering.outputs import NeuronNames
from service.payloads import records
from service.payloads.links import Links

Json = dict[str, Any]
_INT: Final = "<i4"
ROW: Final = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("class", _INT), ("neuron", _INT), ("image", "<i8"), ("row", _INT), ("column", _INT)]
)
"""A point in the numpy file: its place, codes of its class and neuron (-1 for none), and its cell."""


def atlas(links: Links, layer: str, made: Atlas, points: Points, classes: list[str]) -> Json:
    """What an atlas was made of, and how true it is."""
    recipe = made.recipe
    return {
        "layer": layer,
        "points": len(points),
        "fitted": int(made.fitted[points.numbers].sum()),
        "images": len(np.unique(points.rows)),
        "made_of": {"images": recipe.images, "generation": recipe.generation, "seed": recipe.seed},
        **how_true(made),
        "classes": classes,
        "links": links_of(links.atlas(layer), links.layer(layer)),
    }


def how_true(made: Atlas | NeuronAtlas) -> Json:
    """How an atlas was laid out, and which share of true neighbours it keeps."""
    return {
        "perplexity": made.recipe.perplexity,
        "neighbours": made.recipe.neighbours,
        "kept": made.kept,
        "kept_by_two_components": made.kept_by_pca,
        "sampled": made.recipe.compared,
    }


def links_of(own: str, layer: str) -> Json:
    """Where the parts of the atlas at ``own`` are."""
    parts = {"points": "points.npy", "patches": "patches", "selection": "selection"}
    return {"self": own, **{name: f"{own}/{part}" for name, part in parts.items()}, "layer": layer}


def numpy_file(points: Points | NeuronPoints, width: int) -> bytes:
    """The points as a file of `numpy.save`: an array (P,) of `ROW`; the map is ``width`` cells wide.

    The cell of a neuron is that of its top patch.
    """
    rows = np.empty(len(points), ROW)
    rows["x"], rows["y"] = points.layout.T
    rows["class"], rows["neuron"], rows["image"] = points.classes, points.neurons, points.images
    rows["row"], rows["column"] = np.divmod(points.cells, width)
    file = io.BytesIO()
    np.save(file, rows, allow_pickle=False)
    return file.getvalue()


def point(links: Links, layer: str, record: AtlasPoint) -> Json:
    image = record.image
    x, y = record.layout
    return {
        "x": x,
        "y": y,
        "image": image.id,
        "path": image.path,
        "class": image.class_,
        "cell": records.cell(record.y, record.x),
        "neuron": record.neuron,
        "links": {
            "patch": links.patch(image, layer, record.y, record.x),
            "image": links.image(image),
            "similar": links.similar(image, layer, record.y, record.x),
        },
    }


def selection(links: Links, names: NeuronNames, layer: str, found: Selection) -> Json:
    return {
        "layer": layer,
        "points": found.points,
        "images": found.images,
        "classes": [{"class": name, "points": count} for name, count in found.classes],
        "inside": found.inside,
        "outside": found.outside,
        "neurons": [records.selective(links, names, record) for record in found.neurons],
        "direction": {str(neuron): weight for neuron, weight in found.direction.items()},
        "links": {"atlas": links.atlas(layer), "search": links.search()},
    }
