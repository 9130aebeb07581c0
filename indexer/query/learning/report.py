"""An index at a glance: its neurons by state, uncovered classes, confused pairs, and what that suggests.

`report` gives plain values that are JSON as they are; `indexer.query.learning.report_text` writes them as Markdown and
HTML.
"""

from typing import Any

import numpy as np

from indexer.defaults import SELECTIVE_AUC
from indexer.derive.selectivity import DEAD, DENSE, ENOUGH_IMAGES, MIXED, SELECTIVE, STATES, UNKNOWN
from indexer.errors import NotFound
from indexer.query.index import Index
from indexer.query.learning import classes
from indexer.query.learning.answering.confusion import Confusion, confusion
from indexer.query.learning.findings import findings
from indexer.query.learning.shortcuts.hints import hints

PAIRS = 10
"""How many pairs of classes are listed."""

CLASSES = 20
"""How many of the least covered classes are listed."""

Json = dict[str, Any]


def report(index: Index, auc: float = SELECTIVE_AUC) -> Json:
    """Everything about an index that helps to decide what to do next.

    Pairs of alike classes are of classes of at least `ENOUGH_IMAGES`. Without two classes, what needs them is left out:
    ``classes`` of a layer and ``confusion`` are None.

    Parameters
    ----------
    auc : float
        From here on a neuron covers a class, 0.5 to 1.

    Raises
    ------
    InvalidRequest
        From the classes: `auc` is out of its range.
    """
    counts, answers = index.class_counts(), confusion_or_none(index)
    found: Json = {
        "index": index.name,
        "generation": index.generation,
        "model": index.manifest.configuration.model,
        "images": len(index.images),
        "classes": len(counts),
        "smallest_class": min(counts.values(), default=0),
        "unlabelled_images": len(index.images) - sum(counts.values()),
        "auc": auc,
        "states": dict(STATES),
        "layers": [of_layer(index, name, auc) for name in index.layers],
        "confusion": None if answers is None else _summary_of(answers),
        "hints": [hint.as_dict() for hint in hints(index)],
    }
    return {**found, "findings": findings(found)}


def of_layer(index: Index, name: str, auc: float = SELECTIVE_AUC) -> Json:
    """A layer's part of the report."""
    layer = index.layer(name)
    states = {state: int((layer.states == state).sum()) for state in (DEAD, DENSE, SELECTIVE, MIXED, UNKNOWN)}
    return {
        "layer": name,
        "neurons": layer.info.channels,
        **states,
        "mean_best_auc": mean_best_auc(index, name),
        "classes": _of_classes(index, name, auc) if len(index.classes) > 1 else None,
    }


def mean_best_auc(index: Index, layer: str) -> float | None:
    """The mean over the neurons of their highest AUC, dead ones included; None without two classes."""
    best = index.layer(layer).selectivity.best_auc
    return None if np.isnan(best).any() or not len(best) else float(best.mean())


def _of_classes(index: Index, name: str, auc: float) -> Json:
    covered = classes.coverage(index, name, auc)
    alike = classes.pairs(index, name, limit=PAIRS, at_least=ENOUGH_IMAGES)
    least = sorted(covered, key=lambda one: one.order)
    return {
        "uncovered": sum(not one.covered for one in covered),
        "least_covered": [one.as_dict() for one in least[:CLASSES]],
        "most_alike": [{"a": pair.a, "b": pair.b, "likeness": pair.likeness} for pair in alike],
    }


def of_confusion(found: Confusion) -> Json:
    """The network's answers as plain values."""
    return {**_summary_of(found), "matrix": found.matrix.tolist(), "elsewhere": found.elsewhere.tolist()}


def _summary_of(found: Confusion) -> Json:
    return {
        "layer": found.layer,
        "matched": found.matched,
        "accuracy": found.accuracy,
        "images": int(found.images.sum()),
        "classes": found.classes,
        "unmatched": found.unmatched,
        "most_confused": [confused.as_dict() for confused in found.confused(PAIRS)],
    }


def confusion_or_none(index: Index) -> Confusion | None:
    """What the network answers, where that is known and there is something to confuse: two classes."""
    try:
        return confusion(index) if len(index.classes) > 1 else None
    except NotFound:  # no output layer, or none of its outputs is a class
        return None
