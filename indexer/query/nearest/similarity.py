"""Cells near a vector, cells far along a direction, images near an image.

FAISS proposes cells (`indexer.query.nearest.proposals`), the kept maps decide: every score is computed from the float16
activations.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from indexer.errors import InvalidRequest
from indexer.query.deadline import checked
from indexer.query.layer import Layer
from indexer.query.nearest.proposals import (
    SPARE,
    SearchPlan,
    all_that_may_be_nearest,
    bounds_cosines,
    by_codes,
    by_rounded,
    cells_around,
    propose,
)

_BOUND_IMAGES = 64
BLOCK_IMAGES = 1 << 14
"""Images whose peaks are compared at a time."""


ReadMaps = Callable[[int], np.ndarray]
"""Row of the image table -> maps (C, H, W) float16."""
Score = Callable[[np.ndarray], np.ndarray]
"""Cell vectors (n, C) float32 -> scores (n,) float32."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A cell (row of the image table, cell number) and its score."""

    row: int
    cell: int
    score: float


def cosine_to(vector: np.ndarray) -> Score:
    """Score by cosine with a vector (C,); a cell where nothing is active scores 0.

    Raises
    ------
    InvalidRequest
        The vector is zero or not finite, so it has no direction.
    """
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not np.isfinite(length) or length == 0:
        raise InvalidRequest("no neuron is active there, so nothing is similar to it")
    unit = (vector / length).astype(np.float32)

    def score(vectors: np.ndarray) -> np.ndarray:
        rows = np.ascontiguousarray(vectors)
        lengths, products = np.linalg.norm(rows, axis=1), _products(rows, unit)
        cosines: np.ndarray = np.divide(products, lengths, out=np.zeros(len(rows), np.float32), where=lengths > 0)
        return cosines

    return score


def along(direction: np.ndarray) -> Score:
    """Score by inner product with a direction (C,)."""
    own = direction.astype(np.float32)
    return lambda vectors: _products(np.ascontiguousarray(vectors), own)


def _products(rows: np.ndarray, vector: np.ndarray) -> np.ndarray:
    # Row by row: BLAS would round a row's sum by how many rows there are, and pages would not fit together.
    products: np.ndarray = np.einsum("nc,c->n", rows, vector)
    return products


def scan(
    layer: Layer, rows: Iterable[int], read_maps: ReadMaps, score: Score, count: int, *, one: bool
) -> list[Scored]:
    """The best ``count`` cells of these images, every one of them scored; ``one`` keeps the best of each image."""
    best: list[Scored] = []
    for row in rows:
        scores = score(read_maps(row).reshape(layer.info.channels, -1).T.astype(np.float32))
        cells = np.argsort(-scores, kind="stable")[: 1 if one else count]
        best.extend(Scored(row, cell, float(scores[cell])) for cell in cells.tolist())
        if len(best) > 4 * count + 1000:
            best = ranked(best)[:count]
    return ranked(best)[:count]


def ranked(cells: list[Scored]) -> list[Scored]:
    """By descending score, then by row, then by cell."""
    return sorted(cells, key=lambda hit: (-hit.score, hit.row, hit.cell))


def nearest(
    layer: Layer,
    vector: np.ndarray,
    read_maps: ReadMaps,
    limit: int,
    plan: SearchPlan,
    *,
    one: bool,
    own: int | None = None,
    offset: int = 0,
) -> list[Scored]:
    """The ``offset + limit`` cells nearest to a vector (C,) by cosine: proposed by FAISS, scored from the maps.

    All cells of the image in row ``own`` are scored too: FAISS may know neither the cell that a vector was taken from
    nor one near to it.
    """
    score = cosine_to(vector)

    def proposed(wanted: int) -> np.ndarray:
        if plan.candidates is None:
            cells = cells_around(layer, by_rounded(layer, vector, wanted, one))
        else:
            cells = cells_around(layer, by_codes(layer, vector, wanted, plan, one))
        return cells if own is None else np.union1d(cells, own * layer.info.cells + np.arange(layer.info.cells))

    if bounds_cosines(layer, plan):
        count = offset + limit
        return _score_cells(layer, proposed(count), read_maps, score, count, one)
    return _in_rounds(layer, proposed, read_maps, score, limit, offset, one)


def nearest_of_all(
    layer: Layer, vector: np.ndarray, read_maps: ReadMaps, count: int, plan: SearchPlan, *, one: bool
) -> list[Scored]:
    """The cells nearest to a vector (C,) by cosine, none left out that might be nearer.

    Every map is read, unless FAISS's scores tell of most cells that they are not among the nearest.
    """
    score = cosine_to(vector)
    positions = all_that_may_be_nearest(layer, vector, count, one) if bounds_cosines(layer, plan) else None
    if positions is None:
        return scan(layer, range(layer.peaks.shape[1]), read_maps, score, count, one=one)
    return _score_cells(layer, cells_around(layer, positions), read_maps, score, count, one)


def farthest(
    layer: Layer,
    direction: np.ndarray,
    read_maps: ReadMaps,
    limit: int,
    plan: SearchPlan,
    *,
    one: bool,
    offset: int = 0,
) -> list[Scored]:
    """The ``offset + limit`` cells farthest along a direction (C,): proposed by FAISS and by peaks, scored from maps.

    Peaks bound what an image can reach, up to neurons that are negative there; that finds the cells of directions of
    few neurons, which approximate search by angle misses.
    """
    used = np.flatnonzero(direction > 0)
    bounds = direction[used] @ layer.peaks[used] if len(used) else np.zeros(layer.peaks.shape[1])
    by_bound, cells = np.argsort(-bounds, kind="stable"), layer.info.cells

    def proposed(wanted: int) -> np.ndarray:
        proposals = propose(layer, direction, min(layer.vectors().ntotal, 10 * wanted + SPARE), plan.probes)
        of_peaks = by_bound[: wanted + _BOUND_IMAGES, None] * cells + np.arange(cells)
        return np.union1d(cells_around(layer, proposals.positions), of_peaks)

    return _in_rounds(layer, proposed, read_maps, along(direction), limit, offset, one)


def _in_rounds(
    layer: Layer,
    proposed: Callable[[int], np.ndarray],
    read_maps: ReadMaps,
    score: Score,
    limit: int,
    offset: int,
    one: bool,
) -> list[Scored]:
    """``offset + limit`` cells: the best of those that are ``proposed`` for a page, then for 2, 4 and so on pages.

    What one round gives, the next leaves where it is. So pages of one size fit together, though more cells are proposed
    where more are wanted, and some of them are better than those of the pages before.
    """
    given: list[Scored] = []
    waiting: list[Scored] = []
    known, wanted, count = np.empty(0, np.int64), limit, offset + limit
    while len(given) < count:
        numbers = np.setdiff1d(proposed(wanted), known)
        if not len(numbers):  # there are no others, however many are wanted
            wanted = count
        waiting = ranked(waiting + _score_cells(layer, numbers, read_maps, score, len(numbers), one))
        waiting = _move(waiting, given, min(wanted, count), one)
        if wanted >= count:
            break
        known, wanted = np.union1d(known, numbers), 2 * wanted
    return given


def _move(waiting: list[Scored], given: list[Scored], most: int, one: bool) -> list[Scored]:
    """Move the first cells that wait to those that are given, until these are ``most``; the cells that still wait.

    With ``one``, only the first of each image goes, and the others wait no longer.
    """
    images = {hit.row for hit in given}
    left = []
    for hit in waiting:
        if one and hit.row in images:
            continue
        if len(given) < most:
            given.append(hit)
            images.add(hit.row)
        else:
            left.append(hit)
    return left


def _score_cells(
    layer: Layer, numbers: np.ndarray, read_maps: ReadMaps, score: Score, count: int, one: bool
) -> list[Scored]:
    """The best ``count`` of cells, row * cells + cell, which ascend; ``one`` keeps the best of each image."""
    rows, cells = np.divmod(numbers, layer.info.cells)
    starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
    scored: list[Scored] = []
    for start, end in itertools.pairwise([*starts, len(rows)]):
        row, wanted = int(rows[start]), cells[start:end]
        scores = score(read_maps(row).reshape(layer.info.channels, -1)[:, wanted].T.astype(np.float32))
        kept = [int(scores.argmax())] if one else range(len(scores))  # of equal ones the first
        scored.extend(Scored(row, int(wanted[number]), float(scores[number])) for number in kept)
    return ranked(scored)[:count]


def nearest_images(layer: Layer, peaks: np.ndarray, count: int) -> list[tuple[int, float]]:
    """Rows and cosines of the images whose peaks (positive part) are nearest to ``peaks`` (C,), exactly."""
    query = np.maximum(peaks, 0).astype(np.float32)
    length = float(np.linalg.norm(query))
    if length == 0:
        return []
    used = np.flatnonzero(query)
    scores = np.zeros(layer.peaks.shape[1], np.float32)
    for first in checked(range(0, len(scores), BLOCK_IMAGES)):
        block = slice(first, first + BLOCK_IMAGES)
        lengths = layer.peak_lengths[block]
        products = query[used] @ np.maximum(layer.peaks[used, block], 0)
        np.divide(products, lengths * length, out=scores[block], where=lengths > 0)
    rows = highest(scores, count)
    return [(int(row), float(scores[row])) for row in rows]


def highest(scores: np.ndarray, count: int) -> np.ndarray:
    """Numbers (count,) of the highest scores (n,), descending; of equal ones the first."""
    count = min(count, len(scores))
    if count == 0:
        return np.zeros(0, np.int64)
    lowest = np.partition(scores, len(scores) - count)[len(scores) - count]
    candidates = np.flatnonzero(scores >= lowest)
    return candidates[np.argsort(-scores[candidates], kind="stable")[:count]]
