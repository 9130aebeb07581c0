"""Cells near a vector, cells far along a direction, images near an image.

FAISS proposes cells, the kept maps decide: every score is computed from the float16 activations. FAISS's own scores are
those of vectors rounded to float16, so they bound the true ones, and maps are only read where a cell may be among the
best. Scores of codes bound nothing: as many candidates are scored as were found to be enough when the codes were made.
"""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from indexer.derive.ivf import NEAREST, every_list, probing
from indexer.derive.vectors import grid_step
from indexer.errors import DamagedFile, InvalidRequest
from indexer.query.deadline import check, checked
from indexer.query.layer import Layer

_SPARE = 32
_BOUND_IMAGES = 64
_ROUNDING = 1e-3
"""What a cosine from FAISS may be off: numbers are rounded by 2^-11 of themselves, sums by far less.

They are those of unit vectors, or, in lists, of what one differs from the mean of some: at most 2 long.
"""
_BLOCK = 1 << 14
"""Images whose peaks are looked at at a time."""


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """How a layer's FAISS index is asked.

    Attributes
    ----------
    probes : int, optional
        Lists to look at; None where there are none.
    candidates : int, optional
        How many times as many cells as are wanted must be scored from the maps; None where FAISS's scores bound them.
    """

    probes: int | None = None
    candidates: int | None = None


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
        lengths = np.linalg.norm(rows, axis=1)
        # Row by row: BLAS would round a row's sum by how many rows there are, and pages would not fit together.
        products = np.einsum("nc,c->n", rows, unit)
        return np.divide(products, lengths, out=np.zeros(len(rows), np.float32), where=lengths > 0)

    return score


def along(direction: np.ndarray) -> Score:
    """Score by inner product with a direction (C,)."""
    return lambda vectors: vectors @ direction.astype(np.float32)


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
    count: int,
    plan: SearchPlan,
    *,
    one: bool,
    own: int | None = None,
) -> list[Scored]:
    """The cells nearest to a vector (C,) by cosine: proposed by FAISS, scored from the maps.

    All cells of the image in row ``own`` are scored too: FAISS may know neither the cell that a vector was taken from
    nor one near to it.
    """
    score = cosine_to(vector)
    propose = _by_rounded if plan.candidates is None else _by_codes
    cells = _cells_around(layer, propose(layer, vector, count, plan, one))
    if own is not None:
        cells = np.union1d(cells, own * layer.info.cells + np.arange(layer.info.cells))
    return _score_cells(layer, cells, read_maps, score, count, one)


def _by_rounded(layer: Layer, vector: np.ndarray, count: int, plan: SearchPlan, one: bool) -> np.ndarray:
    """Positions in the FAISS index of the cells that may be the nearest, as the scores of rounded vectors tell."""
    step = grid_step(layer.info.height, layer.info.width)
    found, scores = _propose_images(layer, vector, (2 * count + _SPARE) * step * step, count if one else 0, plan.probes)
    if step > 1:  # the cells between those that FAISS knows may be better
        return found
    return _of_hopeful_images(layer, found, scores, count, one)


def _by_codes(layer: Layer, vector: np.ndarray, count: int, plan: SearchPlan, one: bool) -> np.ndarray:
    """Positions in the FAISS index of the candidates: cells, or all that are known of as many images."""
    step = grid_step(layer.info.height, layer.info.width)
    wanted = (plan.candidates or 1) * max(count, NEAREST)  # for fewer than ten nothing was measured
    if step > 1:  # nor for the cells between those that FAISS knows
        wanted += _SPARE
    if not one:
        return _propose(layer, vector, min(layer.vectors().ntotal, wanted * step * step), plan.probes)[0]
    found, _ = _propose_images(layer, vector, wanted * step * step, wanted, plan.probes)
    images = found // len(layer.grid)
    firsts = np.sort(np.unique(images, return_index=True)[1])[:wanted]
    return found[np.isin(images, images[firsts])]


def _propose_images(
    layer: Layer, vector: np.ndarray, wanted: int, images: int, probes: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """As `_propose`, of at least ``wanted`` cells, and of so many images if the lists hold them."""
    total = layer.vectors().ntotal
    wanted = min(total, wanted)
    while True:
        found, scores = _propose(layer, vector, wanted, probes)
        if len(np.unique(found // len(layer.grid))) >= images or wanted >= total or len(found) < wanted:
            return found, scores
        wanted = min(total, 4 * wanted)


def nearest_of_all(
    layer: Layer, vector: np.ndarray, read_maps: ReadMaps, count: int, plan: SearchPlan, *, one: bool
) -> list[Scored]:
    """The cells nearest to a vector (C,) by cosine, none left out that might be nearer."""
    score, cells = cosine_to(vector), _hopeful_cells(layer, vector, count, plan, one)
    if cells is None:
        return scan(layer, range(layer.peaks.shape[1]), read_maps, score, count, one=one)
    return _score_cells(layer, cells, read_maps, score, count, one)


def _hopeful_cells(layer: Layer, vector: np.ndarray, count: int, plan: SearchPlan, one: bool) -> np.ndarray | None:
    """Every cell, row * cells + cell, that may be among the nearest; None unless FAISS's scores of all bound theirs."""
    if plan.candidates or grid_step(layer.info.height, layer.info.width) > 1:
        return None
    try:
        index, wanted = layer.vectors(), 8 * count + _SPARE
    except DamagedFile:  # the maps are enough
        return None
    probes = every_list(index) if plan.probes else None
    while wanted < index.ntotal:
        found, scores = _propose(layer, vector, wanted, probes)
        lowest = _hopeful_from(layer, found, scores, count, one)
        if len(scores) and scores[-1] < lowest:
            return _cells_around(layer, found[scores >= lowest])
        wanted *= 4
    return None


def _hopeful_from(layer: Layer, found: np.ndarray, scores: np.ndarray, count: int, one: bool) -> float:
    """The lowest score from FAISS with which a cell may be among the best; ``scores`` descend."""
    if one:
        scores = scores[np.sort(np.unique(found // len(layer.grid), return_index=True)[1])]
    return float(scores[count - 1]) - 2 * _ROUNDING if len(scores) >= count else -np.inf


def _of_hopeful_images(layer: Layer, found: np.ndarray, scores: np.ndarray, count: int, one: bool) -> np.ndarray:
    images = found // len(layer.grid)
    return found[np.isin(images, images[scores >= _hopeful_from(layer, found, scores, count, one)])]


def farthest(
    layer: Layer, direction: np.ndarray, read_maps: ReadMaps, count: int, plan: SearchPlan, *, one: bool
) -> list[Scored]:
    """The cells farthest along a direction (C,): proposed by FAISS and by the images' peaks, scored from the maps.

    Peaks bound what an image can reach, up to neurons that are negative there; that finds the cells of directions of
    few neurons, which approximate search by angle misses.
    """
    found, _ = _propose(layer, direction, min(layer.vectors().ntotal, 10 * count + _SPARE), plan.probes)
    used = np.flatnonzero(direction > 0)
    bounds = direction[used] @ layer.peaks[used] if len(used) else np.zeros(layer.peaks.shape[1])
    rows = np.argsort(-bounds, kind="stable")[: count + _BOUND_IMAGES]
    cells = layer.info.cells
    more = (rows[:, None] * cells + np.arange(cells)).ravel()
    proposed = np.union1d(_cells_around(layer, found), more)
    return _score_cells(layer, proposed, read_maps, along(direction), count, one)


def _cells_around(layer: Layer, found: np.ndarray) -> np.ndarray:
    """Positions in the FAISS index -> row * cells + cell of every cell that is nearer to them than to another."""
    rows, places = np.divmod(found, len(layer.grid))
    height, width = layer.info.height, layer.info.width
    y, x = np.divmod(layer.grid[places], width)
    reach = grid_step(height, width) // 2
    around = np.arange(-reach, reach + 1)
    ys = np.clip(y[:, None, None] + around[:, None], 0, height - 1)
    xs = np.clip(x[:, None, None] + around, 0, width - 1)
    return np.unique(rows[:, None, None] * layer.info.cells + ys * width + xs)


def _propose(layer: Layer, vector: np.ndarray, count: int, probes: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Positions in the FAISS index of the cells nearest to a vector, and their scores, which descend."""
    check()
    index = layer.vectors()
    parameters = probing(index, probes) if probes else None
    unit = (vector / max(float(np.linalg.norm(vector)), 1e-30)).astype(np.float32)
    scores, found = (of_one[0] for of_one in index.search(unit[None], count, params=parameters))
    there = (found >= 0) & (found < index.ntotal)  # a damaged list may name vectors there are not
    return found[there], scores[there]


def _score_cells(
    layer: Layer, found: np.ndarray, read_maps: ReadMaps, score: Score, count: int, one: bool
) -> list[Scored]:
    """The best ``count`` of cells, row * cells + cell, which ascend; ``one`` keeps the best of each image."""
    rows, cells = np.divmod(found, layer.info.cells)
    starts = np.flatnonzero(np.diff(rows, prepend=-1)).tolist()
    scored: list[Scored] = []
    for start, end in itertools.pairwise([*starts, len(rows)]):
        row, wanted = int(rows[start]), cells[start:end]
        scores = score(read_maps(row).reshape(layer.info.channels, -1)[:, wanted].T.astype(np.float32))
        kept = [int(scores.argmax())] if one else range(len(scores))  # of equal ones the first
        scored.extend(Scored(row, int(wanted[place]), float(scores[place])) for place in kept)
    return ranked(scored)[:count]


def nearest_images(layer: Layer, peaks: np.ndarray, count: int) -> list[tuple[int, float]]:
    """Rows and cosines of the images whose peaks (positive part) are nearest to ``peaks`` (C,), exactly."""
    query = np.maximum(peaks, 0).astype(np.float32)
    length = float(np.linalg.norm(query))
    if length == 0:
        return []
    used = np.flatnonzero(query)
    scores = np.zeros(layer.peaks.shape[1], np.float32)
    for first in checked(range(0, len(scores), _BLOCK)):
        block = slice(first, first + _BLOCK)
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
    found = np.flatnonzero(scores >= np.partition(scores, len(scores) - count)[len(scores) - count])
    return found[np.argsort(-scores[found], kind="stable")[:count]]
