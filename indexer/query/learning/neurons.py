"""Questions about the neurons of a layer: what they tell about the classes, and which go together.

>>> table = neurons.table(index, "features.12")
>>> [table.row(number) for number in table.ranked("auc", descending=True, state="selective")[:10]]
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from indexer.derive.image_table import class_code
from indexer.derive.scores.file import SCORES
from indexer.derive.selectivity import DEAD, STATES
from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.learning.correlation import correlations
from indexer.query.paging import page_of
from indexer.query.records import Page

SORTS = (
    "neuron", "maximum", "mean", "std", "positive_cells", "positive_images", "firing_cells", "firing_images",
    "selectivity", "auc", "auc_at_least", "entropy", *SCORES,
)  # fmt: skip


@dataclass(frozen=True)
class NeuronTable:
    """Statistics of all neurons of a layer.

    Attributes
    ----------
    columns : dict of str to ndarray (C,)
        Those of `Index.neuron_statistics`, and ``state`` (see `indexer.derive.selectivity.STATES`), ``best`` (code of
        the class whose AUC is at least the highest, -1 for none), ``auc`` (that AUC), ``auc_at_least``,
        ``selectivity`` and ``entropy``. Where the layer has scores: `indexer.derive.scores.file.SCORES`, and
        ``nearest``, the neuron that redundancy is about, -1 for none.
    classes : sequence of str
        Names by code.
    categories : sequence of str or None
        What each neuron is called, if it is an output of the network.
    layer : Layer
    """

    columns: dict[str, np.ndarray]
    classes: Sequence[str]
    categories: Sequence[str | None]
    layer: Layer

    def row(self, neuron: int) -> dict[str, Any]:
        """One neuron's statistics as plain values; None where something is not defined."""
        values = {name: _plain(column[neuron].item()) for name, column in self.columns.items() if name != "best"}
        if "nearest" in values and values["nearest"] < 0:
            values["nearest"] = None
        return {**values, "category": self.categories[neuron], "best_class": self.class_of(neuron)}

    def class_of(self, neuron: int) -> str | None:
        """The neuron's best class."""
        code = int(self.columns["best"][neuron])
        return None if code < 0 else self.classes[code]

    def ranked(
        self,
        sort: str = "neuron",
        *,
        descending: bool = False,
        state: str | None = None,
        class_: str | None = None,
        dead: bool | None = None,
        least: float | None = None,
        most: float | None = None,
    ) -> np.ndarray:
        """Numbers of neurons (n,) by one of `SORTS`; equals by number, those without the statistic last.

        Parameters
        ----------
        state : str, optional
            Only neurons in this state.
        class_ : str, optional
            Only neurons whose best class this is.
        dead : bool, optional
            Only dead neurons, or only the others.
        least, most : float, optional
            Only neurons whose statistic that they are sorted by is at least, or at most, this.

        Raises
        ------
        InvalidRequest
            An unknown statistic or state, or one that needs two classes where there are none.
        NotFound
            No such class; or it is a score, and none were worked out.
        """
        if sort not in SORTS:
            raise InvalidRequest(f"sort must be one of {', '.join(SORTS)}, not {sort!r}")
        if sort in SCORES:
            self.layer.scored()
        numbers = np.flatnonzero(self._wanted(state, class_, dead))
        keys = numbers.astype(np.float64) if sort == "neuron" else self.columns[sort][numbers]
        for bound, within in ((least, np.greater_equal), (most, np.less_equal)):
            if bound is not None:  # NaN is within no bound
                kept = within(keys, bound)
                numbers, keys = numbers[kept], keys[kept]
        return numbers[np.argsort(-keys if descending else keys, kind="stable")]  # NaN sorts last

    def _wanted(self, state: str | None, class_: str | None, dead: bool | None) -> np.ndarray:
        wanted = np.ones(len(self.columns["dead"]), bool)
        if state is not None:
            if state not in STATES:
                raise InvalidRequest(f"state must be one of {', '.join(STATES)}, not {state!r}")
            if state != DEAD:
                require_classes(self.classes, f"state={state}")
            wanted &= self.columns["state"] == state
        if class_ is not None:
            require_classes(self.classes, "a neuron's best class")
            wanted &= self.columns["best"] == class_code(self.classes, class_)
        return wanted if dead is None else wanted & (self.columns["dead"] == dead)


def table(index: Index, layer: str) -> NeuronTable:
    """The statistics of a layer's neurons; NotFound."""
    neurons = index.layer(layer)
    about = neurons.selectivity
    columns = {
        **index.neuron_statistics(layer),
        "state": neurons.states,
        "best": about.best,
        "auc": about.best_auc,
        "auc_at_least": about.best_at_least,
        "selectivity": about.index,
        "entropy": about.entropy,
    }
    if neurons.scores is not None:
        columns |= {name: getattr(neurons.scores, name) for name in (*SCORES, "nearest")}
    names = NeuronNames(index)
    categories = [names.of(layer, neuron) for neuron in range(neurons.info.channels)]
    return NeuronTable(columns, index.classes, categories, neurons)


def scores_of(index: Index, layer: str, neuron: int) -> dict[str, Any]:
    """The scores of a neuron as plain values, None where one is not defined; empty where its layer has none."""
    scores = index.layer(layer).scores
    if scores is None:
        return {}
    nearest = int(scores.nearest[neuron])
    found = {name: _plain(getattr(scores, name)[neuron].item()) for name in SCORES}
    return {**found, "nearest": None if nearest < 0 else nearest}


def scored_by(index: Index, layer: str) -> dict[str, Any]:
    """How the scores of a layer's neurons were made, as plain values; empty where it has none.

    ``by`` says in whose vectors, in words, and ``between`` is the mean cosine of two patches of different neurons.
    """
    scores = index.layer(layer).scores
    if scores is None:
        return {}
    return {"scores": {**asdict(scores.recipe), "by": scores.recipe.words, "between": _plain(scores.between)}}


def worth_showing(neurons: NeuronTable, count: int) -> list[int]:
    """At most ``count`` living neurons that say most about a layer, where there is no room for all.

    The best for each class, by what its AUC is at least, then the others; without classes those with the highest
    activations.
    """
    sort = "auc_at_least" if len(neurons.classes) > 1 else "maximum"
    ranking = neurons.ranked(sort, descending=True, dead=False).tolist()
    best = {neurons.class_of(neuron): neuron for neuron in reversed(ranking)}
    first = {neuron for name, neuron in best.items() if name is not None}
    return sorted(ranking, key=lambda neuron: neuron not in first)[:count]


def aucs(index: Index, layer: str, neuron: int, limit: int = 20) -> list[dict[str, Any]]:
    """The classes that a neuron tells from the rest best, by what their AUC is at least; none without two classes.

    Each with ``class``, ``images``, ``auc`` and ``at_least``.
    """
    neurons = index.layer(layer)
    about, column = neurons.selectivity, neurons.check_neuron(neuron)
    bounds = about.at_least[:, column]
    ranking = np.argsort(-bounds, kind="stable")[:limit].tolist() if len(bounds) > 1 else []
    return [
        {"class": index.classes[k], "images": int(about.images[k]), "auc": float(about.auc[k, column]),
         "at_least": float(bounds[k])}
        for k in ranking
    ]  # fmt: skip


def correlated(index: Index, layer: str, neuron: int, limit: int = 20, offset: int = 0) -> Page[tuple[int, float]]:
    """Other neurons by the Pearson correlation, over all images, of their peaks with this neuron's; highest first.

    Neurons whose peak is the same on every image correlate with nothing: they are left out, and have no others.

    Raises
    ------
    NotFound
    """
    neurons = index.layer(layer)
    neurons.check_neuron(neuron)
    peaks, every = neurons.peaks_by_image, np.arange(len(index.images))
    (together,) = correlations(peaks[:, neuron : neuron + 1], every, peaks, every)
    numbers = np.flatnonzero(~np.isnan(together) & (np.arange(len(together)) != neuron))
    ranking = numbers[np.argsort(-together[numbers], kind="stable")]
    shown = page_of(ranking, limit, offset)
    return Page([(n, float(together[n])) for n in shown.tolist()], len(ranking), limit, offset)


def require_classes(classes: Sequence[str], question: str) -> None:
    """Refuse a question that needs classes where there are too few.

    Raises
    ------
    InvalidRequest
    """
    if len(classes) < 2:
        has = "none" if not classes else f"only {classes[0]!r}"
        raise InvalidRequest(f"{question} needs images of at least 2 classes; this index has {has}")


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value
