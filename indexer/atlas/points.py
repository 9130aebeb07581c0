"""Cells of a layer's maps, drawn by lot, and their vectors."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from indexer.query.index import Index


@dataclass(frozen=True)
class Points:
    """Cells of images.

    Attributes
    ----------
    rows : ndarray (P,) int64
        Rows of the image table, ascending.
    cells : ndarray (P,) int64
        y * W + x.
    """

    rows: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, chosen: np.ndarray | slice) -> "Points":
        return Points(self.rows[chosen], self.cells[chosen])


def choose(images: int, cells: int, points: int, rng: np.random.Generator) -> Points:
    """Draw cells without replacement, as many of each image, or one more, as of every other; all if there are fewer."""
    points = min(points, images * cells)
    each, more = divmod(points, images) if images else (0, 0)
    counts = np.full(images, each)
    counts[rng.permutation(images)[:more]] += 1
    drawn = [np.sort(rng.permutation(cells)[:count]) for count in counts.tolist()]
    return Points(
        np.repeat(np.arange(images), counts), np.concatenate([*drawn, np.empty(0, np.int64)]).astype(np.int64)
    )


def vectors_of(index: Index, layer: str, points: Points) -> np.ndarray:
    """The vectors (P, C) float32 of points, as kept: rounded to float16. Each image is read once."""
    info = index.layer(layer).info
    vectors = np.empty((len(points), info.channels), np.float32)
    for first, end in _runs(points.rows):
        image = int(index.images.id[int(points.rows[first])])
        maps = index.activation_maps(image, layer).reshape(info.channels, -1)
        vectors[first:end] = maps[:, points.cells[first:end]].T
    return vectors


def _runs(rows: np.ndarray) -> Iterator[tuple[int, int]]:
    """Where runs of equal values begin and end."""
    bounds = [0, *(np.flatnonzero(np.diff(rows)) + 1).tolist(), len(rows)]
    yield from itertools.pairwise(bounds) if len(rows) else ()


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (P, C) float32 of length 1; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    divided: np.ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return divided
