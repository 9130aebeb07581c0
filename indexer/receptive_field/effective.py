"""Effective receptive fields: the part of a cell's receptive field from which nearly all of its gradient comes.

The receptive field is the largest box that could matter; Luo et al. 2016 ("Understanding the effective receptive field
in deep convolutional neural networks") show that most of it hardly does: the gradient lies around the middle. Here the
effective field of a cell is the smallest box around the peak row and column of the mean squared gradient that holds
95 % of it (`smallest_box`). It is measured on a sample of images, and so not exact.

`indexer.network.gradients` measures the gradients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from indexer.images.geometry import Box
from indexer.receptive_field.field import AxisField

HELD: Final = 0.95
"""The share of the mean squared gradient that the box of an effective field holds."""
_ROUNDING: Final = 1e-9


@dataclass(frozen=True)
class EffectiveField:
    """The effective receptive fields of a layer's cells, sampled.

    Attributes
    ----------
    boxes : ndarray (H, W, 4) int32
        Left, top, right and bottom of each cell's box, in network input pixels, within its receptive field.
    images : int
        How many images the gradients were taken on.
    seed : int
        What the sample and its random signs were drawn with.
    """

    boxes: np.ndarray
    images: int
    seed: int

    @property
    def median_sides(self) -> tuple[float, float]:
        """Medians of the boxes' heights and of their widths, in network input pixels."""
        left, top, right, bottom = np.moveaxis(self.boxes, 2, 0)
        return float(np.median(bottom - top)), float(np.median(right - left))

    def box(self, y: int, x: int) -> Box:
        """The box of cell (y, x) in network input pixels."""
        left, top, right, bottom = self.boxes[y, x].tolist()
        return Box(left, top, right, bottom)


def smallest_box(mass: np.ndarray, held: float = HELD) -> Box | None:
    """The box of fewest pixels that holds a share of a mass, and the mass's peak row and peak column.

    The peak row is the row with the largest sum, the peak column likewise; of equal ones the first. Of several boxes of
    equally many pixels it is the one that holds most, then the one of fewer rows.

    Parameters
    ----------
    mass : ndarray (h, w)
        Not negative.
    held : float
        The share, above 0 and at most 1.

    Returns
    -------
    Box or None
        None where the whole mass is 0.
    """
    needed = float(mass.sum(dtype=np.float64)) * held * (1 - _ROUNDING)
    if needed <= 0:
        return None
    sums = np.zeros((mass.shape[0] + 1, mass.shape[1] + 1))
    sums[1:, 1:] = mass.cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    peak = int(mass.sum(axis=1).argmax()), int(mass.sum(axis=0).argmax())
    height, width = mass.shape
    best: tuple[int, float, Box] | None = None
    columns = width  # what a box of few rows needs is enough for one of more rows
    for rows in range(1, height + 1):
        while columns and (found := _fullest(sums, peak, rows, columns))[0] >= needed:
            key = (rows * columns, -found[0])
            if best is None or key < best[:2]:
                best = (*key, found[1])
            columns -= 1
    assert best is not None  # the whole holds it
    return best[2]


def _fullest(sums: np.ndarray, peak: tuple[int, int], rows: int, columns: int) -> tuple[float, Box]:
    """The mass and the box of the fullest window of this size that holds the peak; ``sums`` is the integral image."""
    tops = _starts(peak[0], rows, sums.shape[0] - 1)
    lefts = _starts(peak[1], columns, sums.shape[1] - 1)
    bottoms, rights = _moved(tops, rows), _moved(lefts, columns)
    held = sums[bottoms, rights] - sums[tops, rights] - sums[bottoms, lefts] + sums[tops, lefts]
    y, x = divmod(int(held.argmax()), held.shape[1])
    top, left = tops.start + y, lefts.start + x
    return float(held[y, x]), Box(left, top, left + columns, top + rows)


def _starts(peak: int, side: int, length: int) -> slice:
    """Where the windows of this side start that hold a peak and lie within a length."""
    return slice(max(0, peak - side + 1), min(peak, length - side) + 1)


def _moved(part: slice, by: int) -> slice:
    return slice(part.start + by, part.stop + by)


def step_apart(axis: AxisField) -> int:
    """The smallest step at which the fields of cells do not overlap: of cells i, i + step, i + 2 step, … no two do."""
    cells = len(axis.intervals)
    return next((step for step in range(1, cells) if _are_apart(axis.intervals, step)), max(cells, 1))


def _are_apart(intervals: Sequence[tuple[int, int]], step: int) -> bool:
    own = [[(first, end) for first, end in intervals[start::step] if first < end] for start in range(step)]
    return all(this[1] <= following[0] for each in own for this, following in pairwise(each))
