"""Questions about the classes: which neurons know one, which classes a layer holds alike, and what tells two apart."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.defaults import SELECTIVE_AUC
from indexer.derive.selectivity import ENOUGH_IMAGES, Selectivity, auc_by_class
from indexer.errors import InvalidRequest
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import classes_of
from indexer.query.learning.neurons import require_classes
from indexer.query.nearest.similarity import highest

NEURONS = 10
"""How many neurons are named as evidence, by default."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well a layer covers a class.

    A neuron that tells a class from the rest need not have been made for it: a network that was never shown a ship may
    still tell ships from most else by its airplane neuron. So a class is judged by its own neurons. In the model's
    output, where a class is one of the answers, that is the neuron of this answer; elsewhere those that tell this class
    from the rest better than any other class. A class of too few images (`ENOUGH_IMAGES`) is never a neuron's best one
    and is judged by all.

    Attributes
    ----------
    class_ : str
    images : int
    neurons_above : int
        Neurons, its own or not, that tell it from the rest with at least the AUC asked for.
    covered : bool
        Whether one of its own does.
    own_neuron : int or None
        Of its own neurons the one with the highest AUC for it; None where it has none.
    own_auc : float or None
    best_neuron : int
        Of all neurons the one with the highest AUC for it.
    best_auc : float
    """

    class_: str
    images: int
    neurons_above: int
    covered: bool
    own_neuron: int | None
    own_auc: float | None
    best_neuron: int
    best_auc: float

    def as_dict(self) -> dict[str, Any]:
        """Plain values; ``class_`` is called ``class``."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}

    @property
    def order(self) -> tuple[float, float, int]:
        """Least covered first."""
        return -1.0 if self.own_auc is None else self.own_auc, self.best_auc, self.neurons_above


@dataclass(frozen=True, slots=True)
class ClassNeuron:
    """A neuron and how well its peaks tell a class from the rest; ``mean`` is its mean peak on the class."""

    neuron: int
    auc: float
    mean: float


@dataclass(frozen=True, slots=True)
class Pair:
    """Two classes and the cosine of their standardised profiles, -1 to 1."""

    a: str
    b: str
    likeness: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """A neuron and how well its peaks tell the images of class a from those of class b; below 0.5, b's are higher."""

    neuron: int
    auc: float


def coverage(index: Index, layer: str, auc: float = SELECTIVE_AUC) -> list[Coverage]:
    """How well a layer covers each class, in order of names.

    Parameters
    ----------
    auc : float
        From here on a neuron counts, 0.5 to 1.

    Raises
    ------
    NotFound
    InvalidRequest
        The images have fewer than two classes.
    """
    selectivity = _selectivity(index, layer, "how well classes are covered")
    if not 0.5 <= auc <= 1:
        raise InvalidRequest(f"auc must be 0.5 to 1, not {auc}")
    own = _own_neurons(index, layer, selectivity)
    return [
        _coverage_of(name, int(selectivity.images[k]), selectivity.auc[k], own[k], auc)
        for k, name in enumerate(index.classes)
    ]


def _own_neurons(index: Index, layer: str, selectivity: Selectivity) -> np.ndarray:
    """Which neurons each class is judged by, (K, C) bool; see `Coverage`."""
    codes = np.arange(len(selectivity.images))[:, None]
    answers, told_best = classes_of(index, layer) == codes, selectivity.best == codes
    few = selectivity.images < ENOUGH_IMAGES
    wanted: np.ndarray = np.where(answers.any(axis=1, keepdims=True), answers, told_best | few[:, None])
    return wanted


def _coverage_of(name: str, images: int, aucs: np.ndarray, own: np.ndarray, auc: float) -> Coverage:
    """From a class's AUC of every neuron (C,) and which neurons are its own (C,)."""
    best, known = int(aucs.argmax()), bool(own.any())
    neuron = int(np.where(own, aucs, -1).argmax())
    enough = aucs >= np.float32(auc)
    return Coverage(
        name, images, int(enough.sum()), bool((enough & own).any()), neuron if known else None,
        float(aucs[neuron]) if known else None, best, float(aucs[best]),
    )  # fmt: skip


def best_neurons(index: Index, layer: str, class_: str, limit: int = NEURONS) -> list[ClassNeuron]:
    """The neurons with the highest AUC for a class; equals by number."""
    selectivity = _selectivity(index, layer, "a neuron's AUC")
    code = index.images.code_of(class_)
    numbers = np.argsort(-selectivity.auc[code], kind="stable")[:limit].tolist()
    return [ClassNeuron(n, float(selectivity.auc[code, n]), float(selectivity.means[code, n])) for n in numbers]


def profile(index: Index, layer: str, class_: str) -> np.ndarray:
    """The mean peak (C,) float32 of each neuron on a class."""
    means: np.ndarray = index.layer(layer).selectivity.means[index.images.code_of(class_)]
    return means


def likeness(index: Index, layer: str) -> np.ndarray:
    """Cosine (K, K) float64 of the standardised profiles of all classes, in order of names.

    A profile is the mean peaks of a class; standardised means less the mean over the classes and divided by the
    standard deviation over them, neuron by neuron, so that every neuron weighs the same and what all classes share
    does not count. Neurons that do not differ between classes are left out. Of two classes it is always -1.

    Raises
    ------
    NotFound
    InvalidRequest
        The images have fewer than two classes.
    """
    means = _selectivity(index, layer, "likeness of classes").means.astype(np.float64)
    means = means[:, (means != means[:1]).any(axis=0)]
    scores = (means - means.mean(axis=0)) / means.std(axis=0)
    length = np.linalg.norm(scores, axis=1, keepdims=True)
    unit = np.divide(scores, length, out=np.zeros_like(scores), where=length > 0)
    cosines: np.ndarray = np.clip(unit @ unit.T, -1, 1)
    return cosines


def pairs(index: Index, layer: str, limit: int | None = None, at_least: int = 1) -> list[Pair]:
    """Pairs of different classes, most alike first; equals by name.

    Parameters
    ----------
    limit : int, optional
        At most so many; by default all.
    at_least : int
        Only of classes of so many images.

    Raises
    ------
    NotFound
    InvalidRequest
        The images have fewer than two classes.
    """
    found, names = _selectivity(index, layer, "likeness of classes"), index.classes
    codes = np.flatnonzero(found.images >= at_least)
    if len(codes) < 2:
        return []
    first, second = (codes[side] for side in np.triu_indices(len(codes), 1))
    scores = likeness(index, layer)[first, second]
    ranking = highest(scores, len(scores) if limit is None else limit).tolist()
    return [Pair(names[first[n]], names[second[n]], float(scores[n])) for n in ranking]


def like(index: Index, layer: str, class_: str, limit: int = NEURONS) -> list[Pair]:
    """The classes most like a class, which is ``a`` of each pair."""
    code = index.images.code_of(class_)
    row = likeness(index, layer)[code]
    ranking = [k for k in np.argsort(-row, kind="stable").tolist() if k != code][:limit]
    return [Pair(class_, index.classes[k], float(row[k])) for k in ranking]


def shared(index: Index, layer: str, a: str, b: str, limit: int = NEURONS) -> list[tuple[int, float, float]]:
    """Neurons that know both classes, with their AUC for a and for b against all others; by the lower of the two."""
    selectivity = _selectivity(index, layer, "what classes share")
    auc = selectivity.auc[list(_two(index, a, b))]
    numbers = np.argsort(-auc.min(axis=0), kind="stable")[:limit].tolist()
    return [(n, float(auc[0, n]), float(auc[1, n])) for n in numbers]


def contrast(index: Index, layer: str, a: str, b: str, limit: int = NEURONS) -> list[Contrast]:
    """The neurons that tell class a from class b best, by the distance of their AUC between the two from 0.5.

    Raises
    ------
    NotFound
    InvalidRequest
        They are the same class.
    """
    neurons = index.layer(layer)
    codes = _two(index, a, b)
    rows = np.flatnonzero(np.isin(neurons.classes, codes))
    of_a = (neurons.classes[rows] == codes[0]).astype(np.int64)
    images = np.bincount(of_a, minlength=2)
    auc = np.empty(neurons.info.channels)
    for neuron in checked(range(neurons.info.channels)):
        own = neurons.peaks[neuron][rows]
        order = np.argsort(-own, kind="stable")
        auc[neuron] = auc_by_class(own[order], of_a[order], images)[1]
    numbers = np.argsort(-np.abs(auc - 0.5), kind="stable")[:limit].tolist()
    return [Contrast(n, float(auc[n])) for n in numbers]


def _selectivity(index: Index, layer: str, question: str) -> Selectivity:
    selectivity = index.layer(layer).selectivity
    require_classes(index.classes, question)
    return selectivity


def _two(index: Index, a: str, b: str) -> tuple[int, int]:
    codes = index.images.code_of(a), index.images.code_of(b)
    if a == b:
        raise InvalidRequest(f"a and b must be two classes, not {a!r} twice")
    return codes
