"""The cells where a neuron is most active, exactly, reading little.

A neuron's peak on an image bounds every cell of it. So images are walked in descending order of their peak, and the
walk stops when the next peak cannot beat the worst of the patches that were found.

The peak of most images lies at another cell than one that is asked for, so such a walk reads many maps. The derived
file lists some of the highest images of each cell, which are the answer wherever enough of them are wanted.
"""

import bisect
import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from indexer.images.geometry import Box
from indexer.query.layer import Layer
from indexer.shards.format import as_kept

BLOCK_IMAGES = 1 << 10
"""Images whose peaks are read at a time."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A cell: row of the image table, cell number y * W + x, activation."""

    row: int
    cell: int
    activation: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which cells of a neuron's maps are wanted.

    Attributes
    ----------
    rows : ndarray (N,) bool or None
        Of these rows of the image table; None for all.
    minimum : float or None
        Where the activation is at least this.
    cell : int or None
        Only this cell, y * W + x, of each image.
    iou : float or None
        Not where the box overlaps that of a better cell of the image by an intersection over union above this.
    """

    rows: np.ndarray | None
    minimum: float | None
    cell: int | None
    iou: float | None


def peaks_of(layer: Layer, neuron: int, allowed: np.ndarray | None, minimum: float | None) -> np.ndarray:
    """Rows (n,) of the image table by descending peak, then by id.

    Parameters
    ----------
    allowed : ndarray (N,) bool or None
        Only these rows.
    minimum : float or None
        Only rows whose peak is at least this.
    """
    order = layer.order[neuron]
    with layer.reading():
        if minimum is not None:
            peaks = layer.peaks[neuron]
            order = order[: bisect.bisect_right(order, -minimum, key=lambda row: -peaks[row])]
        rows: np.ndarray = order if allowed is None else order[allowed[order]]
        return rows


def listed(layer: Layer, neuron: int, cell: int, count: int, wanted: Wanted) -> list[Hit] | None:
    """The first ``count`` images at one cell by descending activation, then by row, from those that are listed.

    None if images that are not listed may be among them.
    """
    known = layer.highest_at(neuron, cell)
    if known is None:
        return None
    activations, rows = known
    there = np.ones(len(rows), bool) if wanted.rows is None else wanted.rows[rows]
    all_are_listed = len(rows) == len(layer.classes)
    if wanted.minimum is not None:
        there &= activations >= wanted.minimum
        all_are_listed |= bool(activations[-1] < wanted.minimum)
    pairs = zip(rows[there][:count].tolist(), activations[there][:count].tolist(), strict=True)
    hits = [Hit(row, cell, activation) for row, activation in pairs]
    return hits if all_are_listed or len(hits) == count else None


def all_cells(
    layer: Layer,
    neuron: int,
    rows: np.ndarray,
    count: int,
    read_map: Callable[[int], np.ndarray],
    *,
    cell: int | None = None,
    minimum: float | None = None,
    box_of: Callable[[int, int], Box] | None = None,
    iou: float | None = None,
) -> list[Hit]:
    """The first ``count`` cells by descending activation, then by row, then in row order of cells.

    Parameters
    ----------
    rows : ndarray (n,)
        Rows to walk, by descending peak, as `peaks_of` gives them.
    read_map : callable
        Row -> map (H, W) float16.
    cell : int, optional
        Look at this cell of each image only (Girshick's pool5 *unit*).
    minimum : float, optional
        Leave out smaller activations.
    box_of, iou : optional
        Non-maximum suppression: leave out a cell whose box overlaps that of a better one on the same image by an
        intersection over union above ``iou``.
    """
    best: list[tuple[float, int, int]] = []
    for row, bound, peak_cell in _bounded(layer, neuron, rows):
        if (len(best) == count and bound < best[0][0]) or (minimum is not None and bound < minimum):
            break
        if len(best) == count and (bound, -row, 0) < best[0]:
            continue  # equal to the worst at most, and behind it: dead neurons, or those that saturate on many images
        if peak_cell == cell:
            hits = iter([Hit(row, peak_cell, bound)])
        else:
            hits = _hits_of_image(read_map(row), row, cell, minimum)
        if iou is not None and box_of is not None:
            hits = _suppress(hits, box_of, iou)
        for hit in hits:
            key = (hit.activation, -hit.row, -hit.cell)
            if len(best) < count:
                heapq.heappush(best, key)
            elif key > best[0]:
                heapq.heapreplace(best, key)
            else:
                break  # the image's cells come in descending order
    return [Hit(-row, -number, activation) for activation, row, number in sorted(best, reverse=True)]


def _bounded(layer: Layer, neuron: int, rows: np.ndarray) -> Iterator[tuple[int, float, int]]:
    """Rows, what none of their cells exceeds, and the cell that reaches it; block by block: a walk seldom gets far.

    Maps are float16; rounding is monotonic, so the rounded peak bounds the rounded map.
    """
    for first in range(0, len(rows), BLOCK_IMAGES):
        block = rows[first : first + BLOCK_IMAGES]
        with layer.reading():
            bounds = as_kept(layer.peaks[neuron][block]).astype(np.float32)
            cells = layer.peak_cells[neuron][block]
        yield from zip(block.tolist(), bounds.tolist(), cells.tolist(), strict=True)


def _hits_of_image(map_: np.ndarray, row: int, cell: int | None, minimum: float | None) -> Iterator[Hit]:
    values = map_.ravel().astype(np.float32)
    cells = np.argsort(-values, kind="stable") if cell is None else np.array([cell])
    for number in cells.tolist():
        value = float(values[number])
        if minimum is not None and value < minimum:
            return
        yield Hit(row, number, value)


def _suppress(hits: Iterator[Hit], box_of: Callable[[int, int], Box], iou: float) -> Iterator[Hit]:
    kept: list[Box] = []
    for hit in hits:
        box = box_of(hit.row, hit.cell)
        if all(box.iou(other) <= iou for other in kept):
            kept.append(box)
            yield hit
