"""How the peaks of neurons go together over images."""

import numpy as np

from indexer.query.deadline import checked

BLOCK_IMAGES = 1 << 12
"""Images whose peaks are looked at at a time."""


def correlations(a: np.ndarray, in_a: np.ndarray, b: np.ndarray, in_b: np.ndarray) -> np.ndarray:
    """The Pearson correlation of each neuron of one layer with each of another: (Ca, Cb) float64.

    Parameters
    ----------
    a, b : ndarray (N, C) float32
        Peaks by image, as `Layer.peaks_by_image`.
    in_a, in_b : ndarray (n,) int64
        Rows of the same images in both.

    Returns
    -------
    ndarray
        NaN for a neuron whose peak is the same on all these images.
    """
    centre_a, varies_a = _centre(a, in_a)
    centre_b, varies_b = _centre(b, in_b)
    together = np.zeros((len(centre_a), len(centre_b)))
    lengths = np.zeros(len(centre_a)), np.zeros(len(centre_b))
    for first in checked(range(0, len(in_a), BLOCK_IMAGES)):
        own = a[in_a[first : first + BLOCK_IMAGES]] - centre_a
        other = b[in_b[first : first + BLOCK_IMAGES]] - centre_b
        together += own.T @ other
        for length, block in zip(lengths, (own, other), strict=True):
            length += np.square(block).sum(axis=0)
    known = np.outer(varies_a, varies_b)
    quotients = np.divide(together, np.sqrt(np.outer(*lengths)), out=np.full(together.shape, np.nan), where=known)
    clipped: np.ndarray = np.clip(quotients, -1, 1)
    return clipped


def _centre(peaks: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (C,) float64 of each neuron's peaks on some images, and whether (C,) they differ."""
    neurons = peaks.shape[1]
    total, low, high = np.zeros(neurons), np.full(neurons, np.inf), np.full(neurons, -np.inf)
    for first in checked(range(0, len(rows), BLOCK_IMAGES)):
        block = peaks[rows[first : first + BLOCK_IMAGES]]
        total += block.sum(axis=0, dtype=np.float64)
        low, high = np.minimum(low, block.min(axis=0)), np.maximum(high, block.max(axis=0))
    return total / max(1, len(rows)), low < high
