"""How many true neighbours a layout keeps."""

from typing import Final

import numpy as np

_AT_ONCE: Final = 50
"""Points of which the distances to all others are in memory together."""


def kept_share(units: np.ndarray, layout: np.ndarray, sample: np.ndarray, neighbours: int) -> float:
    """The mean share of the nearest neighbours of some points that are among as many nearest in a layout.

    Parameters
    ----------
    units : ndarray (P, C) float32
        Vectors of length 1; near is a high cosine.
    layout : ndarray (P, 2) float64
    sample : ndarray (n,) int64
        The points that are asked.
    neighbours : int
        How many nearest are compared; the point itself does not count.
    """
    shares = []
    for own in np.array_split(sample, -(-len(sample) // _AT_ONCE)):
        true = _first(-(units[own] @ units.T), own, neighbours)
        across, down = (np.subtract.outer(axis[own], axis) for axis in layout.T)
        shown = _first(across**2 + down**2, own, neighbours)
        shares += [len(np.intersect1d(a, b)) / neighbours for a, b in zip(true, shown, strict=True)]
    return float(np.mean(shares))


def _first(distances: np.ndarray, own: np.ndarray, count: int) -> np.ndarray:
    """The numbers (n, k) of the smallest distances (n, P), without the point itself."""
    distances[np.arange(len(own)), own] = np.inf
    return np.argpartition(distances, count, axis=1)[:, :count]
