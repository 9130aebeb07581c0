"""Vectors of single cells, from kept maps."""

import numpy as np

from indexer.query.index import Index


def vectors_at(index: Index, layer: str, rows: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """The vectors (n, C) float32 of cells (n,), y * W + x, of images by row (n,), as kept; each image is read once."""
    info = index.layer(layer).info
    vectors = np.empty((len(rows), info.channels), np.float32)
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    for own in np.split(order, starts[1:]) if len(order) else []:
        maps = index.activation_maps(int(index.images.id[rows[own[0]]]), layer).reshape(info.channels, -1)
        vectors[own] = maps[:, cells[own]].T
    return vectors
