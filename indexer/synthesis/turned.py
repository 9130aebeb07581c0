"""Neurons that one image turns on and another does not: for a debugger, what makes the difference between them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.query.index import Index
from indexer.shards.format import as_kept


@dataclass(frozen=True)
class Turned:
    """A neuron that fires on the changed image and not on the original.

    Attributes
    ----------
    before, after : float
        Its peaks.
    threshold : float
        From where it fires.
    percentile_before, percentile_after : float
        Of all its activations in the index, the share below, in percent.
    """

    layer: str
    neuron: int
    before: float
    after: float
    threshold: float
    percentile_before: float
    percentile_after: float


@dataclass(frozen=True)
class Turning:
    """What a change does to the neurons of a layer.

    Attributes
    ----------
    on, off : int
        Neurons that fire after and not before, and before and not after.
    strongest : list of Turned
        Those turned on whose peak rises most, in shares of their threshold; equals by number.
    """

    layer: str
    on: int
    off: int
    strongest: list[Turned]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def turned(
    index: Index, before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray], limit: int, layers: Sequence[str]
) -> list[Turning]:
    """The neurons of each of these layers that fire on one image and not on another, from their peaks (C,)."""
    return [_of_layer(index, name, before[name], after[name], limit) for name in layers]


def _of_layer(index: Index, name: str, before: np.ndarray, after: np.ndarray, limit: int) -> Turning:
    layer = index.layer(name)
    threshold = np.asarray(layer.firing_from(None))
    fired, fires = as_kept(before) >= threshold, as_kept(after) >= threshold
    on = np.flatnonzero(fires & ~fired)
    rise = (after[on] - before[on]) / np.maximum(threshold[on], np.finfo(np.float32).tiny)
    shown = on[np.argsort(-rise, kind="stable")[:limit]]
    percentiles = [layer.distribution.percentiles(shown, values[shown]) for values in (before, after)]
    found = [
        Turned(name, neuron, float(before[neuron]), float(after[neuron]), float(threshold[neuron]), low, high)
        for neuron, low, high in zip(shown.tolist(), *(each.tolist() for each in percentiles), strict=True)
    ]
    return Turning(name, len(on), int((fired & ~fires).sum()), found)
