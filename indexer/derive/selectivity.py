"""How well each neuron tells the classes of the images apart, from its peaks.

Only images with a class count here.

- *AUC* of a neuron and a class: the area under the ROC curve when peaks tell the class's images from those of all other
  classes. This is the probability that an image of the class has a higher peak than an image of another class, with
  ties counting half (Mann-Whitney). It is exact, computed from ranks.
- *AUC at least*: the lower end of its one-sided 95 % confidence interval, were the images drawn by lot. It is Wilson's
  (1927) bound for a proportion, with as many trials as the smaller of both groups has images, because the variance of
  an AUC A is at most A (1 - A) over that number (Birnbaum and Klose 1957). So a class of few images, which some of many
  neurons tell from the rest by chance, is not a neuron's best class.
- *Selectivity index* (Morcos et al. 2018, "On the importance of single directions for generalization"):
  (m - r) / (m + r), with m the highest class mean and r the mean of the other classes' means. Means are of peaks, and a
  peak below 0 counts as 0, as behind a ReLU. So the index runs from 0 (no preference) to 1 (positive on one class
  only).
- *Entropy*, in bits, of the classes among the images with the neuron's highest peaks: at most `ENTROPY_DEPTH` images,
  and only those with a positive peak. It is 0 if all are of one class, and log2 of the number of classes if all classes
  are equally frequent.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from indexer.defaults import SELECTIVE_AUC
from indexer.shards.format import LEAST_POSITIVE, as_kept

ENTROPY_DEPTH = 100
"""How many top images the entropy of the classes is computed over."""

ENOUGH_IMAGES = 5
"""A neuron is selective if it tells some class of at least so many images from the rest with an AUC of at least
`SELECTIVE_AUC`. For smaller classes, neurons reach that AUC by chance."""

_Z = 1.6448536
"""The 95 % quantile of the normal distribution."""

DENSE_CLASSES = 0.9
"""A neuron is dense if it fires on images of at least this share of the classes ..."""

DENSE_EVENNESS = 0.9
"""... and about equally on each: take the share of each class's images on which it fires; the entropy of these shares
is at least this fraction of the entropy of equal shares."""

DEAD, DENSE, SELECTIVE, MIXED, UNKNOWN = "dead", "dense", "selective", "mixed", "unknown"
STATES = {
    DEAD: "positive on no image",
    SELECTIVE: f"tells a class of at least {ENOUGH_IMAGES} images from the rest with an AUC of {SELECTIVE_AUC:g}",
    DENSE: f"not selective, and fires about equally on at least {DENSE_CLASSES:.0%} of the classes",
    MIXED: "anything between dense and selective",
    UNKNOWN: "not dead, and there are no two classes to tell apart",
}
"""The states of a neuron. A neuron has the first state that fits."""


@dataclass(frozen=True)
class Selectivity:
    """How well the neurons of a layer tell the classes apart; NaN where a value is not defined.

    Attributes
    ----------
    images : ndarray (K,) int64
        Images of each class.
    means : ndarray (K, C) float32
        Mean peak by class: the class's profile.
    firing : ndarray (K, C) float32
        Share of each class's images on which a neuron fires.
    auc : ndarray (K, C) float32
        NaN for a class that all images have.
    index : ndarray (C,) float64
        The selectivity index. NaN for fewer than two classes, and for a neuron that is positive nowhere.
    entropy : ndarray (C,) float64
        NaN for a neuron that is positive nowhere.
    """

    images: np.ndarray
    means: np.ndarray
    firing: np.ndarray
    auc: np.ndarray
    index: np.ndarray
    entropy: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["Selectivity"]) -> "Selectivity":
        """The selectivity of all neurons, from that of consecutive blocks of them."""
        by_class = ("means", "firing", "auc")
        return cls(
            images=parts[0].images,
            **{name: np.concatenate([getattr(part, name) for part in parts], axis=1) for name in by_class},
            **{name: np.concatenate([getattr(part, name) for part in parts]) for name in ("index", "entropy")},
        )

    @cached_property
    def best(self) -> np.ndarray:
        """The class (C,) int64 whose AUC is at least the highest, the first among equals; -1 where all AUCs are 0.5."""
        if len(self.images) < 2:
            return np.full(self.auc.shape[1], -1)
        return np.where((self.auc == 0.5).all(axis=0), -1, self.at_least.argmax(axis=0))

    @cached_property
    def best_auc(self) -> np.ndarray:
        """The AUC (C,) float64 for the best class; NaN for fewer than two classes."""
        return self._of_best(self.auc)

    @cached_property
    def best_at_least(self) -> np.ndarray:
        """What that AUC is at least, (C,) float64."""
        return self._of_best(self.at_least)

    @cached_property
    def at_least(self) -> np.ndarray:
        """What each AUC is at least, (K, C) float64."""
        trials = np.minimum(self.images, self.images.sum() - self.images)[:, None]
        return wilson_bound(self.auc.astype(np.float64), trials)

    def _of_best(self, values: np.ndarray) -> np.ndarray:
        """The value (C,) of each neuron for its best class, where AUCs are all 0.5 for any."""
        if len(self.images) < 2:
            return np.full(values.shape[1], np.nan)
        of_best: np.ndarray = np.take_along_axis(values, np.maximum(self.best, 0)[None], axis=0)[0].astype(np.float64)
        return of_best

    def states(self, dead: np.ndarray) -> np.ndarray:
        """The state (C,) of each neuron, see `STATES`; ``dead`` (C,) bool."""
        if len(self.images) < 2:
            return np.where(dead, DEAD, UNKNOWN)
        large = self.images >= ENOUGH_IMAGES
        selective = (self.auc[large] >= np.float32(SELECTIVE_AUC)).any(axis=0)
        reach = (self.firing > 0).mean(axis=0)
        even = entropy_of(self.firing) / np.log2(len(self.images))
        dense = (reach >= DENSE_CLASSES) & (even >= DENSE_EVENNESS)
        return np.select([dead, selective, dense], [DEAD, SELECTIVE, DENSE], MIXED)


class Tally:
    """Gathers how well neurons tell the classes apart, one neuron at a time.

    1. ``tally = Tally(channels, classes)``
    2. ``tally.add(neuron, peaks, order, fires)`` for every neuron; a neuron that is left out tells nothing apart.
    3. ``tally.selectivity()``

    Parameters
    ----------
    channels : int
    classes : ndarray (N,) int32
        Class of each image, -1 for none; every class has an image.
    """

    def __init__(self, channels: int, classes: np.ndarray) -> None:
        self._classes = classes
        self._labelled = np.flatnonzero(classes >= 0)
        self._codes = classes[self._labelled]
        self._images = np.bincount(self._codes) if len(self._codes) else np.empty(0, np.int64)
        count = len(self._images)
        self._means, self._firing, self._auc = (np.zeros((count, channels), np.float32) for _ in range(3))
        self._index, self._entropy = np.full(channels, np.nan), np.full(channels, np.nan)

    def add(self, neuron: int, peaks: np.ndarray, order: np.ndarray, fires: np.ndarray) -> None:
        """Add a neuron.

        Parameters
        ----------
        neuron : int
        peaks : ndarray (N,) float32
        order : ndarray (N,) uint32
            Images by descending peak.
        fires : ndarray (N,) bool
            Whether the neuron fires on each image.
        """
        if not len(self._images):
            return
        own, codes, images = peaks[self._labelled], self._codes, self._images
        self._means[:, neuron] = _means(own, codes, images)
        self._firing[:, neuron] = _means(fires[self._labelled], codes, images)
        self._index[neuron] = selectivity_index(_means(np.maximum(own, 0), codes, images))
        ranked = self._classes[order]
        order, ranked = order[ranked >= 0], ranked[ranked >= 0]
        descending = peaks[order]
        self._auc[:, neuron] = auc_by_class(descending, ranked, images)
        positive = descending[:ENTROPY_DEPTH] >= LEAST_POSITIVE
        self._entropy[neuron] = entropy_of(np.bincount(ranked[:ENTROPY_DEPTH][positive], minlength=len(images)))

    def selectivity(self) -> Selectivity:
        """The selectivity of all neurons."""
        return Selectivity(self._images, self._means, self._firing, self._auc, self._index, self._entropy)


def selectivity_of(peaks: Iterable[np.ndarray], firing_from: np.ndarray, classes: np.ndarray) -> Selectivity:
    """The selectivity of neurons whose order of images is not kept.

    ``peaks`` yields a row (N,) for each neuron; ``firing_from`` (C,) holds the activation at which each neuron fires.
    """
    tally = Tally(len(firing_from), classes)
    for neuron, row in enumerate(peaks):
        order = np.argsort(-row, kind="stable")
        tally.add(neuron, row, order, as_kept(row) >= firing_from[neuron])
    return tally.selectivity()


def _means(values: np.ndarray, codes: np.ndarray, images: np.ndarray) -> np.ndarray:
    means: np.ndarray = np.bincount(codes, values, len(images)) / images
    return means


def auc_by_class(descending: np.ndarray, codes: np.ndarray, images: np.ndarray) -> np.ndarray:
    """The AUC of each class against the rest.

    Parameters
    ----------
    descending : ndarray (n,)
        Values, largest first.
    codes : ndarray (n,) int
        Class of each, 0 to K - 1.
    images : ndarray (K,) int
        How many values each class has, none of them 0.

    Returns
    -------
    ndarray (K,) float64
        NaN for a class that all values have.
    """
    first = np.flatnonzero(np.diff(descending, prepend=np.nan) != 0)  # the start of each run of equal values
    length = np.diff(first, append=len(descending))
    rank = len(descending) - np.repeat(
        first + (length - 1) / 2, length
    )  # 1 is the smallest; equal values share their mean rank
    wins = np.bincount(codes, rank, len(images)) - images * (images + 1) / 2
    pairs = images * (len(descending) - images)
    auc: np.ndarray = np.divide(wins, pairs, out=np.full(len(images), np.nan), where=pairs > 0)
    return auc


def wilson_bound(share: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """The lower end of the one-sided 95 % interval of a share of so many trials (Wilson 1927, "Probable inference, the
    law of succession, and statistical inference"), elementwise.
    """
    square = _Z * _Z
    spread = _Z * np.sqrt(share * (1 - share) * trials + square / 4)
    bound: np.ndarray = (share * trials + square / 2 - spread) / (trials + square)
    return bound


def selectivity_index(means: np.ndarray) -> float:
    """The index of Morcos et al. from class means (K,), none of them negative; NaN for K < 2 or if all are 0."""
    if len(means) < 2 or not means.any():
        return np.nan
    best = means.max()
    rest = (means.sum() - best) / (len(means) - 1)
    return float((best - rest) / (best + rest))


def entropy_of(amounts: np.ndarray) -> np.ndarray:
    """Entropy in bits along the first axis of amounts, none of them negative; NaN where all are 0."""
    total = amounts.sum(axis=0, dtype=np.float64)
    shares = np.divide(amounts, total, out=np.full(amounts.shape, np.nan), where=total > 0)
    logs = np.log2(shares, out=np.zeros(amounts.shape), where=shares > 0)
    entropies: np.ndarray = np.abs(-(shares * logs).sum(axis=0))  # abs: no -0
    return entropies
