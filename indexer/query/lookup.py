"""Questions about a picture that is not in the index, from the maps that its network gives for it."""

from dataclasses import dataclass

import numpy as np

from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.answering.answers import ANSWERS, Answered, answered
from indexer.query.learning.answering.outputs import named_outputs, output_layer
from indexer.query.records import Firing, SimilarImage, SimilarPatch


@dataclass(frozen=True)
class Lookup:
    """The answer about one picture.

    Attributes
    ----------
    layer : str
        The layer whose nearest patches and images are given.
    y, x : int
        The cell that the patches are near to.
    answer : Answered or None
        What the network answers, where its output is indexed.
    """

    layer: str
    y: int
    x: int
    firing: list[Firing]
    patches: list[SimilarPatch]
    images: list[SimilarImage]
    answer: Answered | None


def look_up(
    index: Index,
    maps: dict[str, np.ndarray],
    width: int,
    height: int,
    *,
    layer: str | None,
    fraction: float | None,
    limit: int,
    cell: tuple[int, int] | None,
) -> Lookup:
    """Ask an index about the maps (C, H, W), by layer, of a picture of this width and height.

    Without a layer, neurons of all layers are given, and the nearest patches and images are those of the last layer.
    Without a cell, patches are near to the cell of the first neuron that fires in that layer. If none fires, it is the
    cell with the longest activation vector. `layers_for` says which maps are needed.

    Raises
    ------
    NotFound
        No such layer or cell.
    """
    near = index.layer(layer or list(index.layers)[-1])
    own = maps[near.name]
    asked = {near.name: own} if layer else maps
    output = output_layer(index)
    answer = None
    if output is not None:
        answer = answered(index, named_outputs(index), maps[output][:, 0, 0], ANSWERS)
    firing = index.neurons_firing_on(asked, width, height, fraction=fraction, limit=limit).items
    if cell is None:
        first = firing
        if len(asked) > 1:  # among the best of all layers there may be none of this one
            first = index.neurons_firing_on({near.name: own}, width, height, fraction=fraction, limit=1).items
        y, x = (first[0].y, first[0].x) if first else _most_active(near, own)
    else:
        near.check_cell(*cell)
        y, x = cell
    vector = own[:, y, x]
    patches = index.nearest(near.name, vector, limit=limit).items if vector.any() else []
    images = index.nearest_images(near.name, own.max(axis=(1, 2)), limit).items
    return Lookup(near.name, y, x, firing, patches, images, answer)


def layers_for(index: Index, layer: str | None) -> list[str] | None:
    """The layers whose maps a lookup needs: one layer and the network's output; None for all.

    Raises
    ------
    NotFound
        No such layer.
    """
    if layer is None:
        return None
    index.layer(layer)
    output = output_layer(index)
    return [layer] if output in (None, layer) else [layer, output]


def _most_active(layer: Layer, maps: np.ndarray) -> tuple[int, int]:
    y, x = divmod(int(np.square(maps, dtype=np.float64).sum(axis=0).argmax()), layer.info.width)
    return y, x
