"""How alike neurons are in what they fire for, as vectors of length 1.

Two neurons are alike where they are high on the same images: their likeness is the Pearson correlation of their peaks,
as Li et al. 2016, "Convergent learning", matched neurons by the correlation of their activations. It is the cosine of
the vectors here. `compare` and the list of correlated neurons use it too.
"""

from typing import Final

import numpy as np

from indexer.derive.unit import unit

MOST_BYTES: Final = 1 << 28
"""Of the vectors; where there are more images, so many are drawn by lot as fit."""
_AT_ONCE: Final = 32


def drawn_images(images: int, neurons: int, rng: np.random.Generator) -> np.ndarray:
    """Rows (n,) of the images over which neurons are compared, ascending: all that fit into `MOST_BYTES`."""
    most = max(2, MOST_BYTES // (4 * neurons))
    return np.arange(images) if images <= most else np.sort(rng.choice(images, most, replace=False))


def peak_units(peaks: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose cosines are the correlations of neurons.

    Parameters
    ----------
    peaks : ndarray (C, N) float32
    rows : ndarray (n,) int64
        The images over which they are correlated.

    Returns
    -------
    neurons : ndarray (P,) int64
        Those whose peak is not the same on all these images, ascending; the others correlate with nothing.
    units : ndarray (P, n) float32
        Their peaks less their mean, of length 1.
    """
    units = np.empty((len(peaks), len(rows)), np.float32)
    varies = np.zeros(len(peaks), bool)
    every = len(rows) == peaks.shape[1]
    for first in range(0, len(peaks), _AT_ONCE):
        block = slice(first, first + _AT_ONCE)
        own = np.asarray(peaks[block] if every else peaks[block][:, rows])
        varies[block] = own.min(axis=1, initial=np.inf) < own.max(axis=1, initial=-np.inf)
        units[block] = unit(own - own.mean(axis=1, keepdims=True, dtype=np.float64))
    neurons = np.flatnonzero(varies)
    return neurons, units if len(neurons) == len(units) else units[neurons]
