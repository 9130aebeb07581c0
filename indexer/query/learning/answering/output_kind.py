"""What the values of an output layer are, and the probabilities that follow.

``logits`` exclude one another, and their softmax tells how likely each is; ``probabilities`` and ``log-probabilities``
say it themselves; those of ``multi-label`` are logits, too, but any number of labels may be there at once, and the
sigmoid of each tells how likely it is. A network that ends with a sigmoid gives ``probabilities``.
"""

import numpy as np

from indexer.defaults import LOG_PROBABILITIES, LOGITS, MULTI_LABEL, PROBABILITIES
from indexer.errors import NotFound
from indexer.query.index import Index

_LOOKED_AT = 256
_SUM_TOLERANCE = 1e-3


def kind_of(index: Index, layer: str) -> str:
    """What the values of the output layer are: as was said, else as up to 256 images tell.

    Raises
    ------
    NotFound
        They cannot be what was said.
    """
    told, peaks = index.manifest.told_outputs.kind, index.layer(layer).peaks
    if told is None:
        return kind_of_values(peaks)
    values = np.asarray(peaks[:, :_LOOKED_AT], np.float64)
    outside = {PROBABILITIES: (values < 0) | (values > 1 + _SUM_TOLERANCE), LOG_PROBABILITIES: values > _SUM_TOLERANCE}
    if told in outside and outside[told].any():
        wrong = float(values[outside[told]][0])
        raise NotFound(
            f"the outputs of {layer} are not {told}, as was said: one of them is {wrong:.4g}; "
            "relabel --output-kind KIND says what they are"
        )
    return told


def kind_of_values(peaks: np.ndarray) -> str:
    """What the values (C, N) of an output layer are, told from the first images: do they add up to one?

    Values of several labels at once are taken for logits: nothing in them tells one from the other.
    """
    values = np.asarray(peaks[:, :_LOOKED_AT], np.float64)
    if values.shape[1] and (values >= 0).all() and _add_up(values):
        return PROBABILITIES
    if values.shape[1] and (values <= 0).all() and _add_up(np.exp(values)):
        return LOG_PROBABILITIES
    return LOGITS


def probabilities_of(values: np.ndarray, kind: str) -> np.ndarray:
    """Probabilities (C, n) float64 from the values of an output layer."""
    exact = values.astype(np.float64)
    if kind == PROBABILITIES:
        return exact
    if kind == LOG_PROBABILITIES:
        return np.exp(exact)
    if kind == MULTI_LABEL:
        sigmoid: np.ndarray = np.exp(-np.logaddexp(0, -exact))
        return sigmoid
    raised: np.ndarray = np.exp(exact - exact.max(axis=0))
    raised /= raised.sum(axis=0)
    return raised


def _add_up(values: np.ndarray) -> bool:
    return bool((np.abs(values.sum(axis=0) - 1) < _SUM_TOLERANCE).all())
