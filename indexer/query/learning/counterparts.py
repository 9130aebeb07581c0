"""Which neuron of one checkpoint does what a neuron of another did: the one whose peaks go together with its own best.

>>> found = counterparts(later, "layer3", earlier)
>>> found.match[7], found.correlation[7], found.mutual[7]
"""

from dataclasses import dataclass

import numpy as np

from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.compare import best_matches, common_rows
from indexer.query.learning.correlation import correlations

LEAST_IMAGES = 20
"""With fewer images in common, high correlations come by chance."""


@dataclass(frozen=True)
class Counterparts:
    """The best counterpart of each neuron of a layer.

    Attributes
    ----------
    images : int
        How many images both indexes have.
    match : ndarray (C,) int64
        The neuron of the other layer; -1 where the neuron's peaks do not vary.
    correlation : ndarray (C,) float64
        Pearson's, of the peaks on these images; NaN where there is no match.
    mutual : ndarray (C,) bool
        Whether the neuron is its counterpart's best one, too.
    """

    images: int
    match: np.ndarray
    correlation: np.ndarray
    mutual: np.ndarray


def counterparts(index: Index, layer: str, other: Index, other_layer: str | None = None) -> Counterparts:
    """Look among all neurons of a layer of another index, on the images that both have.

    What was found is kept for as long as the index is open.

    Parameters
    ----------
    other_layer : str, optional
        By default the layer of the same name.

    Raises
    ------
    NotFound
        An index has no such layer.
    InvalidRequest
        They have fewer than `LEAST_IMAGES` images in common.
    """
    own, theirs = index.layer(layer), other.layer(other_layer or layer)
    of = (str(other.path), other.generation, other.manifest.configuration.weights_digest)
    key = (counterparts, layer, theirs.name, *of)
    return index.once(key, lambda: _found(index, own, other, theirs))


def best_of(together: np.ndarray, images: int) -> Counterparts:
    """The best counterparts by a matrix of correlations (C, Cother), NaN where there is none."""
    match, correlation = best_matches(together)
    back, _ = best_matches(together.T)
    mutual = (match >= 0) & (back[match] == np.arange(len(together)))
    return Counterparts(images, match, correlation, mutual)


def _found(index: Index, own: Layer, other: Index, theirs: Layer) -> Counterparts:
    rows, other_rows = common_rows(index, other)
    if len(rows) < LEAST_IMAGES:
        raise InvalidRequest(
            f"{index.name} and {other.name} have {len(rows)} images in common; counterparts need {LEAST_IMAGES} or more"
        )
    together = correlations(own.peaks_by_image, rows, theirs.peaks_by_image, other_rows)
    return best_of(together, len(rows))
