"""Clarity, polysemanticity and redundancy of neurons, from vectors of the patches for which they fire.

The definitions are those of Dreyer et al. 2025, "Mechanistic understanding and validation of large AI models with
SemanticLens" (Nature Machine Intelligence), and of the package semanticlens 0.2.1, which goes with the paper:

- *clarity* of a neuron: the mean cosine of two of its patches.
- *polysemanticity*: the patches are split into two groups by k-means; 1 minus the cosine of the groups' means. Where a
  group has fewer than two patches, it is 1 minus the mean cosine of the first ten patches with the mean of all.
- *redundancy*: the highest cosine of a neuron's mean vector with that of another neuron.

A cosine with a vector of zeros is 0. The groups here depend on no seed: k-means starts from each patch and others at
eight distances from it, the farthest first, and the best of these splits is taken.
"""

from typing import Final

import numpy as np

from indexer.derive.unit import unit

GROUPS: Final = 2
_FEWEST: Final = 2
"""Patches of a group whose mean counts as a meaning."""
_COMPARED: Final = 10
"""How many patches are compared with the mean of all where there are no two groups."""
_STARTS: Final = 8
_ROUNDS: Final = 100
_ROWS: Final = 1024


def clarity(vectors: np.ndarray) -> float:
    """The mean cosine of two different vectors of (n, D); NaN for fewer than two."""
    count = len(vectors)
    if count < 2:
        return float("nan")
    units = unit(vectors.astype(np.float64))
    together = np.square(units.sum(axis=0)).sum() - np.square(units).sum()
    return float(np.clip(together / (count * (count - 1)), -1, 1))


def split(vectors: np.ndarray) -> np.ndarray:
    """Two groups of vectors (n, D), by k-means: 0 or 1 for each vector, 0 for the first; all 0 if all are equal."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    products = centred @ centred.T
    lengths = np.diagonal(products)
    distances = lengths[:, None] + lengths - 2 * products
    ranking = np.argsort(-distances, axis=1, kind="stable")
    others = ranking[:, np.linspace(0, len(vectors) - 1, _STARTS, dtype=np.int64)]
    second = distances[others] < distances[:, None]  # nearer to the other one: (n, starts, n)
    second = _settled(products, second.reshape(-1, len(vectors)))
    held = _held_together(products, second)
    best = second[int((held >= held.max() - 1e-9 * max(1.0, abs(held.max()))).argmax())]
    groups: np.ndarray = (best != best[0]).astype(np.int8)
    return groups


def polysemanticity(vectors: np.ndarray, groups: np.ndarray) -> float:
    """How far two groups of vectors (n, D) lie apart; NaN for fewer than two vectors."""
    if len(vectors) < 2:
        return float("nan")
    vectors = vectors.astype(np.float64)
    if np.bincount(groups, minlength=GROUPS).min() < _FEWEST:
        alike = (unit(vectors[:_COMPARED]) @ unit(vectors.mean(axis=0))).mean()
    else:
        first, second = (unit(vectors[groups == number].mean(axis=0)) for number in range(GROUPS))
        alike = first @ second
    return 1 - float(np.clip(alike, -1, 1))


def redundancy(means: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nearest other neuron (C,) int32, -1 for none, and the cosine (C,) float64 of both mean vectors, NaN for none.

    Parameters
    ----------
    means : ndarray (C, D)
    known : ndarray (C,) bool
        Neurons that have patches; the others are near to nothing.
    """
    nearest, cosines = np.full(len(means), -1, np.int32), np.full(len(means), np.nan)
    numbers = np.flatnonzero(known)
    if len(numbers) < 2:
        return nearest, cosines
    units = unit(means[numbers].astype(np.float64))
    for first in range(0, len(numbers), _ROWS):
        block = np.arange(first, min(first + _ROWS, len(numbers)))
        together = units[block] @ units.T
        together[np.arange(len(block)), block] = -np.inf
        best = together.argmax(axis=1)
        nearest[numbers[block]] = numbers[best]
        cosines[numbers[block]] = np.clip(together[np.arange(len(block)), best], -1, 1)
    return nearest, cosines


def between(sums: np.ndarray, counts: np.ndarray) -> float:
    """The mean cosine of two patches of different neurons, from each neuron's sum (C, D) of unit vectors; or NaN."""
    pairs = counts.sum() ** 2 - np.square(counts).sum()
    if pairs <= 0:
        return float("nan")
    together = np.square(sums.sum(axis=0)).sum() - np.square(sums).sum()
    return float(np.clip(together / pairs, -1, 1))


def _settled(products: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Splits (S, n) bool after Lloyd's rounds, in which each vector goes to the nearer mean.

    Only products (n, n) of vectors are needed: the distance to a mean is made of them.
    """
    for _ in range(_ROUNDS):
        to_mean = []
        for members in (~second, second):
            members = members.astype(np.float64)
            counts = np.maximum(members.sum(axis=1, keepdims=True), 1)
            with_members = members @ products
            of_mean = (with_members * members).sum(axis=1, keepdims=True) / counts**2
            empty = ~members.any(axis=1, keepdims=True)
            to_mean.append(np.where(empty, np.inf, of_mean - 2 * with_members / counts))
        moved = to_mean[1] < to_mean[0]
        if (moved == second).all():
            break
        second = moved
    return second


def _held_together(products: np.ndarray, second: np.ndarray) -> np.ndarray:
    """For each split (S, n), what k-means makes large: of each group the squared length of its sum, by its count."""
    total = np.zeros(len(second))
    for members in (~second, second):
        members = members.astype(np.float64)
        total += ((members @ products) * members).sum(axis=1) / np.maximum(members.sum(axis=1), 1)
    return total
