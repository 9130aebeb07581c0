"""Two indexes of the same images: which neurons woke up or died, how selectivity moved, and who is whose counterpart.

Images are the same where their files' sha256 are; only these count, in both indexes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.derive.selectivity import STATES, Selectivity, selectivity_of
from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.neurons import standardised

_BLOCK = 256


@dataclass(frozen=True)
class Side:
    """One index's layer on the images in common.

    Attributes
    ----------
    index : Index
    layer : Layer
    rows : ndarray (n,) int64
        The images in common, in the same order on both sides.
    classes : list of str
        The classes these images have, by code.
    dead : ndarray (C,) bool
        Positive on none of them.
    selectivity : Selectivity
    states : ndarray (C,)
    """

    index: Index
    layer: Layer
    rows: np.ndarray
    classes: list[str]
    dead: np.ndarray
    selectivity: Selectivity
    states: np.ndarray

    def row(self, neuron: int) -> dict[str, Any]:
        """A neuron's state and what it tells about the classes, as plain values; None where not defined."""
        code, auc = int(self.selectivity.best[neuron]), float(self.selectivity.best_auc[neuron])
        index = float(self.selectivity.index[neuron])
        return {
            "state": str(self.states[neuron]),
            "best_class": None if code < 0 else self.classes[code],
            "auc": None if np.isnan(auc) else auc,
            "selectivity": None if np.isnan(index) else index,
        }

    def summary(self) -> dict[str, Any]:
        """The index and the layer in figures."""
        about = {"index": self.index.name, "layer": self.layer.name, "neurons": self.layer.info.channels}
        counts = {state: int((self.states == state).sum()) for state in STATES}
        return {**about, "images": len(self.layer.classes), **counts, **self.means()}

    def means(self) -> dict[str, float | None]:
        """The mean over the neurons of the best AUC and of the selectivity index, where they are defined."""
        values = {"mean_best_auc": self.selectivity.best_auc, "mean_selectivity": self.selectivity.index}
        return {name: _mean(column[~np.isnan(column)]) for name, column in values.items()}


@dataclass(frozen=True)
class Comparison:
    """Two layers side by side.

    Attributes
    ----------
    a, b : Side
    match : ndarray (Ca,) int64
        The neuron of b whose peaks correlate best with those of each neuron of a; -1 where its peaks do not vary.
    correlation : ndarray (Ca,) float64
        That correlation (Pearson, over the images in common); NaN where there is no match.
    """

    a: Side
    b: Side
    match: np.ndarray
    correlation: np.ndarray

    def summary(self) -> dict[str, Any]:
        """Both sides in figures, as plain values; ``woke_up`` and ``died`` are None where numbers differ in meaning."""
        same = self.same_neurons
        known = self.correlation[~np.isnan(self.correlation)]
        return {
            "images": len(self.a.rows),
            "a": self.a.summary(),
            "b": self.b.summary(),
            "same_neurons": same,
            "woke_up": np.flatnonzero(self.a.dead & ~self.b.dead).tolist() if same else None,
            "died": np.flatnonzero(~self.a.dead & self.b.dead).tolist() if same else None,
            "median_correlation": float(np.median(known)) if len(known) else None,
        }

    def as_dict(self) -> dict[str, Any]:
        """The summary, and ``items``: every neuron of a."""
        return {**self.summary(), "items": [self.row(neuron) for neuron in range(len(self.match))]}

    def row(self, neuron: int) -> dict[str, Any]:
        """A neuron of a and its best match in b, as plain values."""
        match = int(self.match[neuron])
        found = {"neuron": neuron, "a": self.a.row(neuron), "b": self.b.row(neuron) if self.same_neurons else None}
        if match < 0:
            return {**found, "match": None}
        correlation = float(self.correlation[neuron])
        return {**found, "match": {"neuron": match, "correlation": correlation, **self.b.row(match)}}

    @property
    def same_neurons(self) -> bool:
        """Whether a neuron's number means the same on both sides: the same model, layer and number of neurons."""
        models = [side.index.manifest.configuration.model for side in (self.a, self.b)]
        names = self.a.layer.name == self.b.layer.name
        return models[0] == models[1] and names and self.a.layer.info.channels == self.b.layer.info.channels


def compare(a: Index, b: Index, layer: str, layer_b: str | None = None) -> Comparison:
    """Compare a layer of one index with a layer of another.

    Parameters
    ----------
    layer_b : str, optional
        The layer of b; by default that of the same name.

    Raises
    ------
    NotFound
    InvalidRequest
        They have no two images in common.
    """
    found = a.layer(layer), b.layer(layer_b or layer)
    rows = common_rows(a, b)
    if len(rows[0]) < 2:
        raise InvalidRequest(
            f"{a.name} and {b.name} have {len(rows[0])} images in common; a comparison needs two indexes of the same "
            "image files"
        )
    sides = [_side(index, own, own_rows) for index, own, own_rows in zip((a, b), found, rows, strict=True)]
    match, correlation = best_matches(found[0].peaks[:, rows[0]], found[1].peaks[:, rows[1]])
    return Comparison(*sides, match, correlation)


def common_rows(a: Index, b: Index) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,), (n,) of the images whose files are the same, in a's order; of copies within an index the first."""
    first = {digest.tobytes(): row for row, digest in reversed(list(enumerate(b.images.digests)))}
    seen: dict[bytes, tuple[int, int]] = {}
    for row, digest in enumerate(a.images.digests):
        key = digest.tobytes()
        if key in first and key not in seen:
            seen[key] = row, first[key]
    pairs = np.array(list(seen.values()), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def best_matches(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of a (Ca, n) the row of b (Cb, n) with the highest correlation, and it; -1 and NaN for constants."""
    match, correlation = np.full(len(a), -1), np.full(len(a), np.nan)
    others = standardised(b)
    varying = np.flatnonzero(~np.isnan(others).any(axis=1))
    others = others[varying]
    for first in range(0, len(a) if len(varying) else 0, _BLOCK):
        own = standardised(a[first : first + _BLOCK])
        usable = ~np.isnan(own).any(axis=1)
        together = own[usable] @ others.T
        numbers = first + np.flatnonzero(usable)
        match[numbers], correlation[numbers] = varying[together.argmax(axis=1)], together.max(axis=1)
    return match, correlation


def _side(index: Index, layer: Layer, rows: np.ndarray) -> Side:
    peaks = layer.peaks[:, rows]
    dead = peaks.max(axis=1) <= 0
    if len(rows) == len(layer.classes):
        return Side(index, layer, rows, index.classes, dead, layer.selectivity, layer.states)
    codes = layer.classes[rows]
    present, codes[codes >= 0] = np.unique(codes[codes >= 0], return_inverse=True)
    names = [index.classes[code] for code in present.tolist()]
    found = selectivity_of(peaks, layer.firing_from(None), codes)
    return Side(index, layer, rows, names, dead, found, found.states(dead))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
