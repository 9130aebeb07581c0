"""Does training still change anything? The same figures over a list of indexes, in order of training."""

import itertools
import re
from collections.abc import Sequence
from typing import Any

from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.learning.report import confusion_or_none, mean_best_auc

SERIES = ("dead", "dense", "selective", "mean_best_auc")
WORDS = {
    "dead": "share of dead neurons",
    "dense": "share of dense neurons",
    "selective": "share of selective neurons",
    "mean_best_auc": "mean best AUC",
}
NOTABLE = 0.01
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
        ``indexes`` (names, in order), ``steps`` (the number in each name, where names differ in that alone and it
        grows; else None), ``verdict`` (sentences on what changed last), ``accuracy`` (for each index, None where the
        output is not indexed, or without two classes) and ``layers``: for each a list of values, one an index, under
        each name of `SERIES`; None without two classes.

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
    found: Json = {
        "indexes": [index.name for index in indexes],
        "steps": steps_in([index.name for index in indexes]),
        "accuracy": [_accuracy(index) for index in indexes],
        "layers": [_of_layer(indexes, name) for name in names],
    }
    return {**found, "verdict": verdict(found)}


def steps_in(names: Sequence[str]) -> list[int] | None:
    """The number in each name, if names differ in one number alone, which grows; else None."""
    parts = [re.split(r"(\d+)", name) for name in names]
    if len({len(part) for part in parts}) != 1:
        return None
    different = [place for place, found in enumerate(zip(*parts, strict=True)) if len(set(found)) > 1]
    if len(different) != 1 or different[0] % 2 == 0:
        return None
    numbers = [int(part[different[0]]) for part in parts]
    return numbers if all(a < b < 2**53 for a, b in itertools.pairwise(numbers)) else None


def verdict(found: Json) -> list[str]:
    """What changed between the last two indexes, by at least `NOTABLE`; each in a sentence."""
    first, last = found["indexes"][-2:]
    figures = [("accuracy", found["accuracy"])]
    figures += [(f"{WORDS[name]} in {one['layer']}", one[name]) for one in found["layers"] for name in SERIES]
    said = [_change(name, *values[-2:]) for name, values in figures if None not in values[-2:]]
    changed = [text for text in said if text]
    if not said:
        return []
    if not changed:
        return [f"From {first} to {last} no figure changed by {NOTABLE} or more."]
    rest = len(said) - len(changed)
    ending = f" The other {rest} figures changed by less than {NOTABLE}." if rest else ""
    return [f"From {first} to {last}: {'; '.join(changed)}.{ending}"]


def _change(name: str, before: float, after: float) -> str:
    if abs(after - before) < NOTABLE:
        return ""
    return f"{name} {'rose' if after > before else 'fell'} from {before:.3f} to {after:.3f}"


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
