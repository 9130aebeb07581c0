"""Which cells FAISS proposes, before any map is read.

Where its scores are those of rounded vectors, they bound the true cosines, so a cell that they leave out is out. Where
they are those of codes, they bound nothing, and a measured number of candidates is proposed instead (`SearchPlan`).
Cells are given as positions in the FAISS index; `cells_around` turns them into cells of the layer's maps.
"""

from dataclasses import dataclass

import numpy as np

from indexer.derive.nearest.ivf import NEAREST, probing
from indexer.derive.nearest.vectors import grid_step
from indexer.errors import DamagedFile
from indexer.query.deadline import check
from indexer.query.layer import Layer

SPARE = 32
"""Cells that are proposed beyond those that are wanted."""
_ROUNDING = 1e-3
"""How far a cosine from FAISS may be off: numbers are rounded by 2^-11 of themselves, sums by far less."""


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


def bounds_cosines(layer: Layer, plan: SearchPlan) -> bool:
    """Whether FAISS knows every cell of the layer by a vector whose score is within `_ROUNDING` of the true cosine."""
    if plan.candidates is not None or grid_step(layer.info.height, layer.info.width) > 1:
        return False
    try:
        layer.vectors()
    except DamagedFile:  # the maps are enough
        return False
    return True


def all_that_may_be_nearest(layer: Layer, vector: np.ndarray, count: int, one: bool) -> np.ndarray | None:
    """Positions in the FAISS index of all cells that may be among the nearest; None where that is about every cell.

    FAISS gives more and more cells, until the last of them is too far away to be among the nearest. So are then all
    that it has not given.
    """
    index = layer.vectors()
    wanted = 8 * count + SPARE
    while wanted < index.ntotal:
        proposals = propose(layer, vector, wanted, None)
        lowest = proposals.lowest_among_best(count, one)
        if len(proposals.scores) and proposals.scores[-1] < lowest:
            return proposals.positions[proposals.scores >= lowest]
        wanted *= 4
    return None


def by_rounded(layer: Layer, vector: np.ndarray, count: int, one: bool) -> np.ndarray:
    """Positions in the FAISS index of the cells that may be the nearest, as the scores of rounded vectors tell."""
    step = grid_step(layer.info.height, layer.info.width)
    wanted = (2 * count + SPARE) * step * step
    proposals = _propose_images(layer, vector, wanted, count if one else 0, None)
    if step > 1:  # the cells between those that FAISS knows may be better
        return proposals.positions
    # Whole images: another cell of an image that is among the best may be its best one.
    hopeful = proposals.images[proposals.scores >= proposals.lowest_among_best(count, one)]
    return proposals.positions[np.isin(proposals.images, hopeful)]


def by_codes(layer: Layer, vector: np.ndarray, count: int, plan: SearchPlan, one: bool) -> np.ndarray:
    """Positions in the FAISS index of the candidates: cells, or all that are known of as many images."""
    step = grid_step(layer.info.height, layer.info.width)
    wanted = (plan.candidates or 1) * max(count, NEAREST)  # for fewer than ten nothing was measured
    if step > 1:  # nor for the cells between those that FAISS knows
        wanted += SPARE
    if not one:
        return propose(layer, vector, min(layer.vectors().ntotal, wanted * step * step), plan.probes).positions
    proposals = _propose_images(layer, vector, wanted * step * step, wanted, plan.probes)
    nearest = proposals.images[proposals.first_of_each_image()[:wanted]]
    return proposals.positions[np.isin(proposals.images, nearest)]


@dataclass(frozen=True, slots=True)
class Proposals:
    """Cells that FAISS proposes, the nearest first.

    Attributes
    ----------
    positions : ndarray (n,) int64
        Numbers of their vectors in the FAISS index.
    scores : ndarray (n,) float32
        FAISS's own, descending.
    images : ndarray (n,) int64
        Rows of the image table.
    """

    positions: np.ndarray
    scores: np.ndarray
    images: np.ndarray

    def first_of_each_image(self) -> np.ndarray:
        """Where among the proposals each image comes first, ascending."""
        return np.sort(np.unique(self.images, return_index=True)[1])

    def lowest_among_best(self, count: int, one: bool) -> float:
        """The lowest score with which a cell may be among the best ``count``; ``one`` counts one cell of each image."""
        scores = self.scores[self.first_of_each_image()] if one else self.scores
        return float(scores[count - 1]) - 2 * _ROUNDING if len(scores) >= count else -np.inf


def _propose_images(layer: Layer, vector: np.ndarray, wanted: int, images: int, probes: int | None) -> Proposals:
    """As `propose`, of at least ``wanted`` cells, and of so many images if the lists hold them."""
    total = layer.vectors().ntotal
    wanted = min(total, wanted)
    while True:
        proposals = propose(layer, vector, wanted, probes)
        enough = len(np.unique(proposals.images)) >= images
        if enough or wanted >= total or len(proposals.positions) < wanted:
            return proposals
        wanted = min(total, 4 * wanted)


def propose(layer: Layer, vector: np.ndarray, count: int, probes: int | None) -> Proposals:
    """The cells nearest to a vector, as FAISS knows them."""
    check()
    index = layer.vectors()
    parameters = probing(index, probes) if probes else None
    unit = (vector / max(float(np.linalg.norm(vector)), 1e-30)).astype(np.float32)
    scores, positions = (row[0] for row in index.search(unit[None], count, params=parameters))
    exist = (positions >= 0) & (positions < index.ntotal)  # a damaged list may name vectors that do not exist
    return Proposals(positions[exist], scores[exist], positions[exist] // len(layer.grid))


def cells_around(layer: Layer, positions: np.ndarray) -> np.ndarray:
    """Positions in the FAISS index -> row * cells + cell of every cell that is nearer to them than to another."""
    rows, on_grid = np.divmod(positions, len(layer.grid))
    height, width = layer.info.height, layer.info.width
    y, x = np.divmod(layer.grid[on_grid], width)
    reach = grid_step(height, width) // 2
    around = np.arange(-reach, reach + 1)
    ys = np.clip(y[:, None, None] + around[:, None], 0, height - 1)
    xs = np.clip(x[:, None, None] + around, 0, width - 1)
    return np.unique(rows[:, None, None] * layer.info.cells + ys * width + xs)
