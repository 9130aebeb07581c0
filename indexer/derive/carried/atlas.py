"""The file of a layer's atlas: cells of its maps, laid out in two dimensions so that alike ones lie together.

::

    images (P,) int64, cells (P,) uint32    which cell, y * W + x, of which image
    layout (P, 2) float32                   where it lies: x and y, 0 to 1
    neurons (P,) int32                      the neuron that is most active there for its own measure, -1 for none
    fitted (P,) uint8                       1 where it was fitted, 0 where its neighbours place it
    recipe (6,) int64                       images and generation it was made of, seed, perplexity, sampled points,
                                            and how many neighbours of each were compared
    kept (2,) float64                       share of true neighbours that the layout keeps, and that two principal
                                            components keep

The points are in an order by lot: the first n are a sample of all. Generations that come later list the file too
(`indexer.derive.carried`). They may have other images: a reader leaves out points of images that they lack.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from indexer.derive.carried.files import Sides, read_carried, write_carried
from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.store.storage import Location

KIND: Final = "unitscope atlas"
VERSION: Final = 1
_COLUMNS: Final[dict[str, type[np.generic]]] = {
    "images": np.int64,
    "cells": np.uint32,
    "neurons": np.int32,
    "fitted": np.uint8,
}


@dataclass(frozen=True)
class Recipe:
    """What an atlas was made of.

    Attributes
    ----------
    images : int
        Images of the index then.
    generation : int
        The generation of the index then.
    seed : int
    perplexity : int
        That of t-SNE.
    compared : int
        Points on which ``kept`` was measured, drawn by lot.
    neighbours : int
        How many nearest neighbours of each were compared.
    """

    images: int
    generation: int
    seed: int
    perplexity: int
    compared: int
    neighbours: int


@dataclass(frozen=True)
class Atlas:
    """Cells of a layer's maps laid out in two dimensions; see the module's description.

    Attributes
    ----------
    images : ndarray (P,) int64
    cells : ndarray (P,) uint32
    layout : ndarray (P, 2) float32
    neurons : ndarray (P,) int32
    fitted : ndarray (P,) uint8
    recipe : Recipe
    kept, kept_by_pca : float
        Share of the nearest neighbours by cosine, among the fitted points, that are among as many nearest in the
        layout; and among as many nearest by the first two principal components.
    """

    images: np.ndarray
    cells: np.ndarray
    layout: np.ndarray
    neurons: np.ndarray
    fitted: np.ndarray
    recipe: Recipe
    kept: float
    kept_by_pca: float

    def __len__(self) -> int:
        return len(self.images)

    def of_images(self, ids: np.ndarray) -> "Atlas":
        """The atlas with the points of these images alone."""
        left = np.isin(self.images, ids)
        columns = {name: getattr(self, name)[left] for name in (*_COLUMNS, "layout")}
        return replace(self, **columns)


def write_atlas(index: Location, layer: str, atlas: Atlas) -> str:
    """Write a layer's file; gives its path relative to the index."""
    recipe = atlas.recipe
    numbers = [recipe.images, recipe.generation, recipe.seed, recipe.perplexity, recipe.compared, recipe.neighbours]
    arrays = {name: np.ascontiguousarray(getattr(atlas, name), kind) for name, kind in _COLUMNS.items()} | {
        "layout": np.ascontiguousarray(atlas.layout, np.float32),
        "recipe": np.array(numbers, np.int64),
        "kept": np.array([atlas.kept, atlas.kept_by_pca]),
    }
    return write_carried(index, layout.ATLASES, layer, (KIND, VERSION), arrays)


def read_atlas(index: Location, file: str, layer: LayerInfo) -> Atlas:
    """Read the file of a layer.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer.
    """
    wanted: dict[str, tuple[type[np.generic], Sides]] = {
        **{name: (kind, (None,)) for name, kind in _COLUMNS.items()},
        "layout": (np.float32, (None, 2)),
        "recipe": (np.int64, (6,)),
        "kept": (np.float64, (2,)),
    }
    arrays = read_carried(index, file, (KIND, VERSION), wanted, "an atlas")
    columns = {name: arrays[name] for name in (*_COLUMNS, "layout")}
    if not _fits(columns, layer):
        raise DamagedFile(file, "names cells, neurons or coordinates that the layer does not have")
    kept, by_pca = arrays["kept"].tolist()
    return Atlas(**columns, recipe=Recipe(*arrays["recipe"].tolist()), kept=kept, kept_by_pca=by_pca)


def _fits(columns: dict[str, np.ndarray], layer: LayerInfo) -> bool:
    within = ((columns["layout"] >= 0) & (columns["layout"] <= 1)).all()
    neurons = ((columns["neurons"] >= -1) & (columns["neurons"] < layer.channels)).all()
    return bool(within and neurons and (columns["cells"] < layer.cells).all())
