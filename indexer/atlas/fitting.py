"""Vectors -> places in two dimensions: t-SNE for some, the places of their neighbours for others.

t-SNE is that of van der Maaten & Hinton 2008 with the settings that Kobak & Berens 2019 recommend (a start from two
principal components, exaggeration 12 for 250 steps, then 500 steps), as openTSNE computes it. Distances are those of
vectors of length 1, so neighbours are those by cosine.
"""

from typing import Final

import faiss
import numpy as np

from indexer.errors import InvalidRequest

FEWEST: Final = 10
"""Fewer points are not laid out."""
_PLACED_BY: Final = 5
_MANY: Final = 5000
"""For fewer points, threads that wait for each other take longer than one alone."""
_SPREAD: Final = 1e-4
"""Standard deviation of the start, from Kobak & Berens 2019."""


def principal(units: np.ndarray) -> np.ndarray:
    """The first two principal components (P, 2) float64 of vectors (P, C). Of each, the largest weight is positive."""
    axes = _axes(units)
    axes = axes * np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0))
    components: np.ndarray = units @ axes - units.mean(axis=0, dtype=np.float64) @ axes
    return np.pad(components, ((0, 0), (0, 2 - components.shape[1])))


def _axes(units: np.ndarray) -> np.ndarray:
    """The directions (C, 2) of most variance; fewer if there are no two."""
    mean = units.mean(axis=0, dtype=np.float64)
    if units.shape[1] <= len(units):
        covariance = (units.T @ units).astype(np.float64) / len(units) - np.outer(mean, mean)
        return _highest(covariance)
    # Of fewer vectors than numbers in each, products of vectors tell the same (Turk & Pentland 1991).
    centred = units - mean.astype(np.float32)
    axes: np.ndarray = centred.T @ _highest((centred @ centred.T).astype(np.float64))
    axes /= np.maximum(np.linalg.norm(axes, axis=0), np.finfo(np.float64).tiny)
    return axes


def _highest(symmetric: np.ndarray) -> np.ndarray:
    """The eigenvectors (n, 2) of a symmetric matrix (n, n) with the two highest eigenvalues."""
    vectors: np.ndarray = np.linalg.eigh(symmetric)[1]
    return vectors[:, ::-1][:, :2]


def nearest(units: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest others (P, k) of each vector (P, C) of length 1, and their distances (P, k) float64, ascending."""
    index = faiss.IndexFlatIP(units.shape[1])
    index.add(units)
    cosines, numbers = index.search(units, count + 1)
    others = numbers != np.arange(len(units))[:, None]
    others[others.all(axis=1), -1] = False  # equal vectors may come before the vector itself
    kept = (len(units), count)
    return numbers[others].reshape(kept), np.sqrt(np.maximum(2 - 2 * cosines[others].astype(np.float64), 0)).reshape(
        kept
    )


def fitted_layout(units: np.ndarray, perplexity: int) -> np.ndarray:
    """Places (P, 2) float64 of vectors (P, C) of length 1, by t-SNE; the same vectors give the same places.

    Raises
    ------
    InvalidRequest
        openTSNE is not installed.
    """
    try:
        from openTSNE import TSNEEmbedding
        from openTSNE.affinity import PerplexityBasedNN
        from openTSNE.nearest_neighbors import PrecomputedNeighbors
    except ImportError as error:
        raise InvalidRequest("an atlas needs openTSNE: pip install 'unitscope[atlas]'") from error
    threads = faiss.omp_get_max_threads() if len(units) >= _MANY else 1
    neighbours = nearest(units, min(3 * perplexity, len(units) - 1))
    affinities = PerplexityBasedNN(
        knn_index=PrecomputedNeighbors(*neighbours), perplexity=perplexity_for(len(units), perplexity), n_jobs=threads
    )
    start = principal(units)
    start *= _SPREAD / max(start[:, 0].std(), np.finfo(np.float64).tiny)
    embedding = TSNEEmbedding(start, affinities, n_jobs=threads, random_state=0)
    embedding = embedding.optimize(n_iter=250, exaggeration=12, momentum=0.5)
    return np.array(embedding.optimize(n_iter=500, momentum=0.8), np.float64)


def check_enough(points: int, what: str) -> None:
    """Refuse to lay out too few of something.

    Raises
    ------
    InvalidRequest
    """
    if points < FEWEST:
        raise InvalidRequest(f"an atlas needs at least {FEWEST} {what}; there are {points}")


def scaled(layout: np.ndarray) -> np.ndarray:
    """A layout (P, 2) whose longer side is from 0 to 1."""
    from_zero = layout - layout.min(axis=0)
    within: np.ndarray = from_zero / max(from_zero.max(), np.finfo(np.float64).tiny)
    return within


def perplexity_for(points: int, asked: int) -> int:
    """The perplexity for so many points: t-SNE looks at three times as many neighbours."""
    return max(1, min(asked, (points - 1) // 3))


class Placing:
    """Puts each further vector at the weighted mean place of the five fitted ones that are nearest.

    A weight is the cosine, but at least 0; where all are 0, all five count the same.
    """

    def __init__(self, units: np.ndarray, layout: np.ndarray) -> None:
        self._layout = layout
        self._index = faiss.IndexFlatIP(units.shape[1])
        self._index.add(units)

    def place(self, units: np.ndarray) -> np.ndarray:
        """Places (n, 2) float64 of vectors (n, C) of length 1."""
        if not len(units):
            return np.empty((0, 2))
        cosines, numbers = self._index.search(units, min(_PLACED_BY, self._index.ntotal))
        weights = np.maximum(cosines.astype(np.float64), 0)
        weights[weights.sum(axis=1) == 0] = 1
        weights /= weights.sum(axis=1, keepdims=True)
        placed: np.ndarray = (self._layout[numbers] * weights[..., None]).sum(axis=1)
        return placed
