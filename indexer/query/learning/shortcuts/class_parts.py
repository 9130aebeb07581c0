"""Neurons that tell a class from the others only because of some of its images.

A neuron with an AUC of at least `TELLS` for its best class is looked at. The class's peaks are split in two by Otsu's
threshold (1979, "A threshold selection method from gray-level histograms"), which is where the means of the two parts
explain most of their variance. The neuron counts if they explain at least `TWO_PARTS` of it, each part holds at least
`SMALLEST_PART` of the class, and below the threshold the class's images are hardly told from those of the others: with
an AUC of at most `TELLS_LITTLE`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.query.deadline import checked
from indexer.query.layer import Layer
from indexer.query.searching.concepts import auc

TELLS: Final = 0.65
TELLS_LITTLE: Final = 0.7
TWO_PARTS: Final = 0.85
SMALLEST_PART: Final = 0.05

SAMPLE: Final = 2000
"""So many peaks at most are taken of a class, and of the others: at equal distances in order of rows."""

SMALLEST_CLASS: Final = 20


@dataclass(frozen=True)
class Parts:
    """A class's peaks in two parts.

    Attributes
    ----------
    threshold : float
        The highest peak of the lower part.
    explained : float
        Share of the variance that the two means explain, 0 to 1; for a normal distribution it is 0.64, for a uniform
        one 0.75.
    upper : float
        Share of the peaks in the upper part.
    lower_auc : float
        AUC of the lower part against the others' peaks that are at or below the threshold.
    """

    threshold: float
    explained: float
    upper: float
    lower_auc: float


@dataclass(frozen=True)
class ToldByPart:
    """A neuron that tells its best class, given by its code, because of a part; ``auc`` is that of the whole class."""

    neuron: int
    class_code: int
    auc: float
    parts: Parts


def told_by_part(layer: Layer) -> list[ToldByPart]:
    """These neurons of a layer, those whose parts are farthest apart first; classes have at least 20 images."""
    about = layer.selectivity
    telling = np.flatnonzero((about.best_auc >= TELLS) & (about.images[about.best] >= SMALLEST_CLASS))
    found = [_looked_at(layer, neuron) for neuron in checked(telling.tolist())]
    return sorted((one for one in found if _counts(one.parts)), key=lambda one: (-one.parts.explained, one.neuron))


def _looked_at(layer: Layer, neuron: int) -> ToldByPart:
    about, codes = layer.selectivity, layer.classes
    code = int(about.best[neuron])
    peaks = layer.peaks[neuron]
    own, others = (peaks[_sample(np.flatnonzero(wanted))] for wanted in (codes == code, (codes >= 0) & (codes != code)))
    return ToldByPart(neuron, code, float(about.best_auc[neuron]), parts_of(own, others))


def _sample(rows: np.ndarray) -> np.ndarray:
    return rows[:: max(1, -(-len(rows) // SAMPLE))]


def parts_of(own: np.ndarray, others: np.ndarray) -> Parts:
    """Split a class's peaks (n,), and compare the lower part with the others' (m,) below the threshold."""
    ordered = np.sort(own.astype(np.float64))
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)[:-1]
    lower, upper = sums / count, (ordered.sum() - sums) / (len(ordered) - count)
    between = count * (len(ordered) - count) / len(ordered) ** 2 * (upper - lower) ** 2
    between[np.diff(ordered) == 0] = 0  # equal peaks are not parted
    if not between.any():
        return Parts(float(ordered[-1]), 0.0, 0.0, 0.5)
    cut = int(between.argmax())
    rest = np.sort(others[others <= ordered[cut]])
    below = auc(ordered[: cut + 1], rest) if len(rest) else 1.0
    return Parts(
        float(ordered[cut]), float(between[cut] / ordered.var()), 1 - (cut + 1) / len(ordered), below
    )  # fmt: skip


def _counts(parts: Parts) -> bool:
    large = SMALLEST_PART <= parts.upper <= 1 - SMALLEST_PART
    return large and parts.explained >= TWO_PARTS and parts.lower_auc <= TELLS_LITTLE
