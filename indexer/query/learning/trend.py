"""Does training still change anything? The same figures over a list of indexes, in order of training."""

from collections.abc import Sequence
from typing import Any

from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.learning.report import confusion_or_none, mean_best_auc

SERIES = ("dead", "dense", "selective", "mean_best_auc")
Json = dict[str, Any]


def trend(indexes: Sequence[Index], layer: str | None = None) -> Json:
    """Shares of dead, dense and selective neurons and the mean best AUC, by layer, for each of several indexes.

    Parameters
    ----------
    indexes : sequence of Index
        At least two, in order of training.
    layer : str, optional
        Only this one; by default all that every index has.

    Returns
    -------
    dict
        ``indexes`` (names, in order), ``accuracy`` (for each index, None where the output is not indexed, or without
        two classes) and ``layers``: for each a list of values, one an index, under each name of `SERIES`; None without
        two classes.

    Raises
    ------
    NotFound
        From the layers: one has not this layer.
    InvalidRequest
        There are less than two indexes, or they have no layer in common.
    """
    if len(indexes) < 2:
        raise InvalidRequest(f"a trend needs at least two indexes, in order of training, not {len(indexes)}")
    names = [layer] if layer is not None else [n for n in indexes[0].layers if all(n in i.layers for i in indexes)]
    if not names:
        raise InvalidRequest("these indexes have no layer in common")
    return {
        "indexes": [index.name for index in indexes],
        "accuracy": [_accuracy(index) for index in indexes],
        "layers": [_of_layer(indexes, name) for name in names],
    }


def _of_layer(indexes: Sequence[Index], name: str) -> Json:
    counts = [_shares(index, name) for index in indexes]
    return {"layer": name, **{series: [one[series] for one in counts] for series in SERIES}}


def _shares(index: Index, name: str) -> Json:
    states = index.layer(name).states
    known = len(index.classes) > 1
    shares = {state: float((states == state).mean()) if known or state == "dead" else None for state in SERIES[:3]}
    return {**shares, "mean_best_auc": mean_best_auc(index, name)}


def _accuracy(index: Index) -> float | None:
    answers = confusion_or_none(index)
    return None if answers is None else answers.accuracy
