"""Cells of a layer's maps, drawn by lot."""

from dataclasses import dataclass

import numpy as np


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
