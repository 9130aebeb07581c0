"""How well concepts fit neurons: the soft weighted pointwise mutual information of CLIP-Dissect.

Source: Oikarinen and Weng 2023, "CLIP-Dissect: Automatic Description of Neuron Representations in Deep Vision
Networks".
"""

import numpy as np

from indexer.shards.format import LEAST_POSITIVE

EXAMPLES = 100
"""How many images with the highest peaks stand for a neuron."""
SHARPNESS = 10.0
"""By how much similarities are multiplied before the softmax that makes probabilities of them."""
LIKELY, LESS_LIKELY = 0.998, 0.97
"""How likely the first and the last of these images is one of the neuron's."""
_LEAST = 1e-7


def soft_wpmi(
    similarities: np.ndarray, peaks: np.ndarray, *, examples: int = EXAMPLES, sharpness: float = SHARPNESS,
    weight: float = 1.0,
) -> np.ndarray:  # fmt: skip
    """Scores (C, M) float64 of every concept for every neuron; only those of one neuron can be compared.

    With p(t|x), a softmax over the concepts of image x, and p(x in B), which falls from 0.998 to 0.97 over the neuron's
    images B in order of their peaks, the score is ``log p(t|B) - weight * log p(t)``. Here ``log p(t|B)`` is the sum
    over B of ``log(1 + p(x in B) (p(t|x) - 1))``, and p(t) the mean of p(t|B) over the neurons.

    Two things differ from the authors' own program. An image on which a neuron is not positive is none of its own, for
    among these none is above another. And p(t) is the mean over neurons that are positive on all their ``examples``
    images, where there are any: a sum of fewer terms is higher for all concepts, and would decide alone.

    Parameters
    ----------
    similarities : ndarray (N, M)
        Cosines of images and concepts.
    peaks : ndarray (N, C)
        The neurons' peaks on these images.
    weight : float
        How much a concept that fits many neurons loses.
    """
    given = _softmax(sharpness * similarities.astype(np.float64))
    count = min(examples, len(given))
    places = LIKELY - np.arange(count) / count * (LIKELY - LESS_LIKELY)
    logs = np.empty((peaks.shape[1], given.shape[1]))
    full = np.zeros(peaks.shape[1], bool)
    for neuron in range(peaks.shape[1]):
        own = np.argsort(-peaks[:, neuron], kind="stable")[:count]
        own = own[peaks[own, neuron] >= LEAST_POSITIVE]
        logs[neuron] = np.log(1 + places[: len(own), None] * (given[own] - 1) + _LEAST).sum(axis=0)
        full[neuron] = len(own) == count
    prior = _log_mean(logs[full] if full.any() else logs)
    scores: np.ndarray = logs - weight * prior
    return scores


def _softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _log_mean(logs: np.ndarray) -> np.ndarray:
    """The logarithm (M,) of the mean over rows of what the values are the logarithms of."""
    highest = logs.max(axis=0)
    mean: np.ndarray = highest + np.log(np.exp(logs - highest).mean(axis=0))
    return mean
