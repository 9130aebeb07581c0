"""Neurons whose top patches lie at one place and look alike, although their images are of many classes.

Of a neuron's `TOP` images with the highest peaks, the peaks of at least `AT_PLACE` lie within one cell, or a tenth of
the map, of the median place; no class has more than `MOST_OF_ONE_CLASS` of the images; and the mean cosine between the
layer's vectors at these peaks is at least `ALIKE`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.derive.unit import unit
from indexer.query.cells import vectors_at
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.shards.format import LEAST_POSITIVE

TOP: Final = 20
AT_PLACE: Final = 0.8
MOST_OF_ONE_CLASS: Final = 0.5
ALIKE: Final = 0.9

LOOKED_AT: Final = 8
"""Of at most so many neurons of a layer vectors are read: those whose peaks keep to one place most."""

_SMALLEST_MAP = 4


@dataclass(frozen=True)
class OnePlace:
    """A neuron that keeps to one place.

    Attributes
    ----------
    y, x : int
        The median cell.
    at_place : float
        Share of the top images whose peak lies there.
    classes : int
        Of so many classes these images are.
    alike : float
        Mean cosine between the vectors at the peaks.
    """

    neuron: int
    y: int
    x: int
    at_place: float
    classes: int
    alike: float


def at_one_place(index: Index, layer: Layer) -> list[OnePlace]:
    """These neurons of a layer, the most alike first; none where the map has fewer than 4 cells a side."""
    if min(layer.info.height, layer.info.width) < _SMALLEST_MAP or len(index.images) < TOP:
        return []
    rows = np.asarray(layer.order[:, :TOP]).astype(np.int64)
    with layer.reading():
        positive = (np.take_along_axis(layer.peaks, rows, axis=1) >= LEAST_POSITIVE).all(axis=1)
        cells = np.take_along_axis(layer.peak_cells, rows, axis=1).astype(np.int64)
        codes = layer.classes[rows]
    places, share = place_of(cells, layer.info.height, layer.info.width)
    wanted = np.flatnonzero(positive & (share >= AT_PLACE) & (most_of_one(codes) <= MOST_OF_ONE_CLASS))
    found = [
        OnePlace(
            neuron, int(places[neuron, 0]), int(places[neuron, 1]), float(share[neuron]),
            len(set(codes[neuron].tolist()) - {-1}), likeness_at(index, layer, rows[neuron], cells[neuron]),
        )
        for neuron in wanted[np.argsort(-share[wanted], kind="stable")][:LOOKED_AT].tolist()
    ]  # fmt: skip
    return sorted((one for one in found if one.alike >= ALIKE), key=lambda one: (-one.alike, one.neuron))


def place_of(cells: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The median place (C, 2) int64 of each neuron's cells (C, n), as row and column, and the share (C,) there."""
    at = np.stack(np.divmod(cells, width), axis=2)
    median = np.floor(np.median(at, axis=1)).astype(np.int64)
    near = np.abs(at - median[:, None]) <= np.maximum(1, np.array([height, width]) / 10)
    share: np.ndarray = near.all(axis=2).mean(axis=1)
    return median, share


def most_of_one(codes: np.ndarray) -> np.ndarray:
    """Share (C,) of the most frequent class, or of images without one (-1), among each neuron's (C, n)."""
    share: np.ndarray = np.array([np.unique(row, return_counts=True)[1].max() for row in codes]) / codes.shape[1]
    return share


def likeness_at(index: Index, layer: Layer, rows: np.ndarray, cells: np.ndarray) -> float:
    """Mean cosine between the vectors of a layer at one cell (n,) of each of some images (n,), as kept (float16)."""
    units = unit(vectors_at(index, layer.name, rows, cells).astype(np.float64))
    return float((units @ units.T)[np.triu_indices(len(units), 1)].mean())
