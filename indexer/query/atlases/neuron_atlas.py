"""Questions about the atlas of a layer's neurons: its points, those to show of a part of it, those within a polygon."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from indexer.derive.carried.neuron_atlas import NeuronAtlas, read_neuron_atlas
from indexer.errors import NotFound
from indexer.index import layout
from indexer.query.atlases.atlas import chosen_by, nearest_to_grid
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.records import Patch


@dataclass(frozen=True)
class NeuronPoints:
    """The points of an atlas of neurons, and the top patch that each neuron has in the index of today.

    Attributes
    ----------
    neurons : ndarray (P,) int64
    layout : ndarray (P, 2) float32
        x and y, 0 to 1.
    classes : ndarray (P,) int32
        The code of the class that the neuron tells best from the rest, -1 for none.
    images : ndarray (P,) int64
        The image with the neuron's highest peak.
    cells : ndarray (P,) int64
        Where that stands, y * W + x.
    """

    neurons: np.ndarray
    layout: np.ndarray
    classes: np.ndarray
    images: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.neurons)


@dataclass(frozen=True, slots=True)
class NeuronPoint:
    """A neuron, where it lies in an atlas, the class that it tells best from the rest, and its top patch."""

    neuron: int
    layout: tuple[float, float]
    best_class: str | None
    patch: Patch


@dataclass(frozen=True)
class NeuronSelection:
    """The neurons of an atlas within a polygon.

    Attributes
    ----------
    total : int
        How many there are.
    classes : list of (str or None, int)
        Of how many each class is the best, descending.
    neurons : list of NeuronPoint
        The first of them by number.
    """

    total: int
    classes: list[tuple[str | None, int]]
    neurons: list[NeuronPoint]


def neuron_atlas(index: Index, layer: str) -> NeuronAtlas:
    """The atlas of a layer's neurons.

    Raises
    ------
    NotFound
        There is no such layer, or none was made.
    DamagedFile
    """
    file = index.carried_file(layout.NEURON_ATLASES, layer)
    if file is None:
        raise NotFound(
            f"layer {layer} has no atlas of its neurons yet; python -m indexer neuron-atlas INDEX --layer {layer} "
            "makes it"
        )
    return read_neuron_atlas(index.path, file, index.layer(layer).info)


def neuron_points(index: Index, layer: str) -> NeuronPoints:
    """The points of the atlas of a layer's neurons; kept for as long as the index is open.

    Raises
    ------
    NotFound, DamagedFile
    """
    return index.once(
        ("neuron atlas points", layer), lambda: _points(index, index.layer(layer), neuron_atlas(index, layer))
    )


def _points(index: Index, layer: Layer, atlas: NeuronAtlas) -> NeuronPoints:
    neurons = atlas.neurons.astype(np.int64)
    with layer.reading():
        rows = np.asarray(layer.order[neurons, 0]).astype(np.int64)
        images = np.asarray(index.images.id)[rows]
        cells = np.asarray(layer.peak_cells[neurons, rows]).astype(np.int64)
    best = layer.selectivity.best[neurons].astype(np.int32)
    return NeuronPoints(neurons, np.asarray(atlas.layout), best, images, cells)


def spread_neurons(
    index: Index, layer: str, left: float, top: float, right: float, bottom: float, columns: int, rows: int
) -> list[NeuronPoint]:
    """For each cell of a grid over a part of an atlas, the neuron in it that is nearest to its middle.

    Raises
    ------
    NotFound, DamagedFile
    InvalidRequest
        The part has no width or no height.
    """
    points = neuron_points(index, layer)
    chosen = nearest_to_grid(points.layout, (left, top, right, bottom), columns, rows)
    return _records(index, layer, points, chosen)


def select_neurons(
    index: Index, layer: str, polygon: list[tuple[float, float]], limit: int = 20
) -> NeuronSelection:  # fmt: skip
    """The neurons of an atlas within a polygon, which may cross itself.

    Parameters
    ----------
    polygon : list of (float, float)
        Its corners, x and y, 3 to 500.
    limit : int
        How many neurons to give.

    Raises
    ------
    NotFound, DamagedFile
    InvalidRequest
        It has too few or too many corners.
    """
    points = neuron_points(index, layer)
    inside = np.flatnonzero(chosen_by(points.layout, polygon))
    counted = Counter(points.classes[inside].tolist())
    classes = [(_class(index, code), count) for code, count in counted.most_common()]
    return NeuronSelection(len(inside), classes, _records(index, layer, points, inside[:limit]))


def _records(index: Index, layer: str, points: NeuronPoints, chosen: np.ndarray) -> list[NeuronPoint]:
    found = []
    for number in chosen.tolist():
        neuron = int(points.neurons[number])
        (patch,) = index.top_patches(layer, neuron, limit=1).items
        at = (float(points.layout[number, 0]), float(points.layout[number, 1]))
        found.append(NeuronPoint(neuron, at, _class(index, int(points.classes[number])), patch))
    return found


def _class(index: Index, code: int) -> str | None:
    return None if code < 0 else index.classes[code]
