"""Two indexes of the same images: which neurons woke up or died, how selectivity moved, and who is whose counterpart.

Images are the same where their files' sha256 are; only these count, in both indexes.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from indexer.derive.selectivity import STATES, Selectivity, selectivity_of
from indexer.errors import InvalidRequest
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.correlation import correlations
from indexer.shards.format import LEAST_POSITIVE

SORTS = ("neuron", "correlation")
"""Orders of neurons."""


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

    def ranked(self, sort: str = "neuron", *, repeats: bool = True) -> np.ndarray:
        """Neurons of a (n,) by number or by the correlation with their match, highest first and those without last.

        Parameters
        ----------
        repeats : bool
            Keep all neurons; without it, of those with one match only the first that has the highest correlation.

        Raises
        ------
        InvalidRequest
            ``sort`` is not one of `SORTS`.
        """
        if sort not in SORTS:
            raise InvalidRequest(f"sort must be one of {', '.join(SORTS)}, not {sort!r}")
        ranking = np.argsort(-self.correlation, kind="stable")  # NaN sorts last
        kept = np.ones(len(ranking), bool)
        if not repeats:
            matches = self.match[ranking]
            firsts = np.unique(matches, return_index=True)[1]
            kept = np.isin(np.arange(len(ranking)), firsts) | (matches < 0)
        return np.sort(ranking[kept]) if sort == "neuron" else ranking[kept]

    def row(self, neuron: int) -> dict[str, Any]:
        """A neuron of a and its best match in b, as plain values."""
        match = int(self.match[neuron])
        answer = {"neuron": neuron, "a": self.a.row(neuron), "b": self.b.row(neuron) if self.same_neurons else None}
        if match < 0:
            return {**answer, "match": None}
        correlation = float(self.correlation[neuron])
        return {**answer, "match": {"neuron": match, "correlation": correlation, **self.b.row(match)}}

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
    layer_of_a, layer_of_b = a.layer(layer), b.layer(layer_b or layer)
    rows_a, rows_b = common_rows(a, b)
    if len(rows_a) < 2:
        raise InvalidRequest(
            f"{a.name} and {b.name} have {len(rows_a)} images in common; a comparison needs two indexes of the same "
            "image files"
        )
    together = correlations(layer_of_a.peaks_by_image, rows_a, layer_of_b.peaks_by_image, rows_b)
    side_a, side_b = _side(a, layer_of_a, rows_a), _side(b, layer_of_b, rows_b)
    return Comparison(side_a, side_b, *best_matches(together))


def common_rows(a: Index, b: Index) -> tuple[np.ndarray, np.ndarray]:
    """Rows (n,), (n,) of the images whose files are the same, in a's order; of copies within an index the first."""
    digests_a, digests_b = (index.images.digests.view("S32").ravel() for index in (a, b))
    _, in_a, in_b = np.intersect1d(digests_a, digests_b, return_indices=True)
    order = np.argsort(in_a)
    return in_a[order], in_b[order]


def best_matches(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of correlations (Ca, Cb) the column of the highest, and it; -1 and NaN where none is known."""
    match = np.where(np.isnan(found), -np.inf, found).argmax(axis=1)
    correlation = found[np.arange(len(found)), match]
    return np.where(np.isnan(correlation), -1, match), correlation


def _side(index: Index, layer: Layer, rows: np.ndarray) -> Side:
    if len(rows) == len(layer.classes):
        return Side(index, layer, rows, index.classes, layer.dead, layer.selectivity, layer.states)
    dead = np.array([bool(peaks[rows].max() < LEAST_POSITIVE) for peaks in checked(layer.peaks)])
    codes = layer.classes[rows]
    present, codes[codes >= 0] = np.unique(codes[codes >= 0], return_inverse=True)
    names = [index.classes[code] for code in present.tolist()]
    selectivity = selectivity_of((peaks[rows] for peaks in checked(layer.peaks)), layer.firing_from(None), codes)
    return Side(index, layer, rows, names, dead, selectivity, selectivity.states(dead))


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None
