"""How many true neighbours a layout keeps."""

import numpy as np


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
    true = _first(-(units[sample] @ units.T), sample, neighbours)
    shown = _first(np.square(layout[sample][:, None] - layout).sum(axis=2), sample, neighbours)
    return float(np.mean([len(np.intersect1d(a, b)) / neighbours for a, b in zip(true, shown, strict=True)]))


def _first(distances: np.ndarray, own: np.ndarray, count: int) -> np.ndarray:
    """The numbers (n, k) of the smallest distances (n, P), without the point itself."""
    distances[np.arange(len(own)), own] = np.inf
    return np.argpartition(distances, count, axis=1)[:, :count]
