"""Vectors of cells, taken by chance from the kept maps of a layer."""

from dataclasses import dataclass

import numpy as np

from indexer.errors import InvalidRequest
from indexer.query.index import Index

HELD_OUT = 0.1
"""Share of the images from which nothing is learned."""


@dataclass(frozen=True)
class Sample:
    """Vectors of a layer's cells, as kept: rounded to float16.

    Attributes
    ----------
    learned : ndarray (n, C) float32
    held_out : ndarray (m, C) float32
        Of other images.
    """

    learned: np.ndarray
    held_out: np.ndarray


def take_sample(index: Index, layer: str, cells: int, seed: int) -> Sample:
    """Take at most ``cells`` vectors to learn from, the same number of each image, or one each of ``cells`` images.

    As many of each of the other images are held out.

    Raises
    ------
    InvalidRequest
        The index has fewer than two images.
    NotFound
        It has no such layer.
    """
    info, images = index.layer(layer).info, len(index.images)
    if images < 2:
        raise InvalidRequest(
            f"a dictionary needs images to learn from and others to try it on; this index has {images}"
        )
    chance = np.random.default_rng(seed)
    order = chance.permutation(images)
    held_out = max(1, round(images * HELD_OUT))
    learned = order[held_out:][:cells]
    each = min(info.cells, -(-cells // images), cells // len(learned))
    return Sample(
        _vectors(index, layer, np.sort(learned), each, chance),
        _vectors(index, layer, np.sort(order[:held_out]), each, chance),
    )


def _vectors(index: Index, layer: str, rows: np.ndarray, each: int, chance: np.random.Generator) -> np.ndarray:
    info = index.layer(layer).info
    vectors = np.empty((len(rows) * each, info.channels), np.float32)
    for number, row in enumerate(rows.tolist()):
        maps = index.activation_maps(int(index.images.id[row]), layer).reshape(info.channels, -1)
        vectors[number * each : (number + 1) * each] = maps[:, chance.permutation(info.cells)[:each]].T
    return vectors
