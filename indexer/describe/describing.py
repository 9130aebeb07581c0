"""Concepts for the neurons of a layer, each with a check on images that were not looked at."""

import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.derive.selectivity import auc_by_class, wilson_bound
from indexer.describe.encoder import BATCH, Checked, Encoder
from indexer.describe.soft_wpmi import EXAMPLES, soft_wpmi
from indexer.errors import ImageUnavailable, InvalidRequest
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.shards.format import LEAST_POSITIVE, as_kept

LEAST_IMAGES = 20
LEAST_FIRING = 3
"""On fewer held-out images where the neuron fires, nothing is checked."""
LONGEST = 200
"""The longest name, in characters, that a note takes."""


@dataclass(frozen=True, slots=True)
class Description:
    """A name that a machine proposes for a neuron.

    Attributes
    ----------
    neuron : int
    rank : int
        1 for the best name of the neuron.
    name : str
    by : str
        "encoder"; "class", if it is the class that the neuron tells from the others best; "category", if it is the
        network's own name of an output.
    score : float or None
        Of an encoder, see `indexer.describe.soft_wpmi`.
    auc : float or None
        How well the name tells where the neuron fires, on held-out images; None where it fires on fewer than
        `LEAST_FIRING` of them. Of a class: how well the neuron's peaks tell it, on all images.
    auc_at_least : float or None
        The lower end of that AUC's one-sided 95 % interval.
    """

    neuron: int
    rank: int
    name: str
    by: str
    score: float | None
    auc: float | None
    auc_at_least: float | None


@dataclass(frozen=True)
class Described:
    """What was found.

    Attributes
    ----------
    items : list of Description
        By neuron and rank. Neurons that are positive nowhere have none.
    images : int
        How many images were looked at.
    held_out : int
        How many others the names were checked on.
    lost : list of str
        Paths of images whose originals are gone.
    """

    items: list[Description]
    images: int
    held_out: int
    lost: list[str]


def describe(
    index: Index,
    layer: str,
    encoder: Encoder,
    concepts: Sequence[str],
    *,
    template: str = "{}",
    best: int = 5,
    examples: int = EXAMPLES,
    neurons: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Described:
    """Propose the concepts that fit best what each neuron fires for.

    Half of the images, by their files' digests, are scored. On the others it is checked how well the best concepts tell
    where the neuron fires: the AUC of an image's similarity with the concept.

    Parameters
    ----------
    concepts : sequence of str
        Two or more, all different.
    template : str
        The text that is encoded, with ``{}`` in the concept's place, as "a photo of a {}".
    best : int
        How many concepts a neuron gets.
    examples : int
        How many images stand for a neuron.
    neurons : sequence of int, optional
        Which of them get names. The scores are the same.
    progress : callable
        Gets how many images are encoded, and how many there are.

    Raises
    ------
    NotFound, InvalidRequest, UserCodeFailed
    """
    known = index.layer(layer)
    wanted = range(known.info.channels) if neurons is None else [known.check_neuron(each) for each in neurons]
    _check(concepts, template, best, examples)
    code = Checked(encoder)
    texts = code.texts([template.replace("{}", concept) for concept in concepts])
    rows, vectors, lost = _encoded(index, code, progress)
    if len(texts[0]) != vectors.shape[1]:
        raise InvalidRequest(f"the encoder gives texts {len(texts[0])} numbers and images {vectors.shape[1]}")
    similarities = vectors @ texts.T
    peaks = known.peaks_by_image[rows]
    used = np.array([int(sha256[:2], 16) % 2 == 0 for sha256 in index.images.sha256s(rows)])
    if min(used.sum(), (~used).sum()) < LEAST_IMAGES // 2:
        raise InvalidRequest(f"{len(rows)} images with their originals are too few; {LEAST_IMAGES} are enough")
    scores = soft_wpmi(similarities[used], peaks[used], examples=examples)
    alive = peaks[used].max(axis=0) >= LEAST_POSITIVE
    items = []
    for neuron in checked([each for each in wanted if alive[each]]):
        fires = as_kept(peaks[~used, neuron]) >= known.firing_from(None)[neuron]
        for rank, concept in enumerate(np.argsort(-scores[neuron], kind="stable")[:best].tolist(), 1):
            auc, at_least = held_out_auc(similarities[~used, concept], fires)
            score = float(scores[neuron, concept])
            items.append(Description(neuron, rank, concepts[concept], "encoder", score, auc, at_least))
    return Described(items, int(used.sum()), int((~used).sum()), lost)


def held_out_auc(similarities: np.ndarray, fires: np.ndarray) -> tuple[float | None, float | None]:
    """How well similarities (n,) tell the images on which a neuron fires (n,) bool, and the lower bound of that."""
    images = np.array([(~fires).sum(), fires.sum()])
    if images.min() < LEAST_FIRING:
        return None, None
    order = np.argsort(-similarities, kind="stable")
    auc = auc_by_class(similarities[order], fires[order].astype(int), images)[1]
    return float(auc), float(wilson_bound(auc, images.min()))


def from_classes(index: Index, layer: str, least: float = 0.8, neurons: Sequence[int] | None = None) -> Described:
    """What can be proposed without an encoder: the names of outputs, and the classes that neurons tell best.

    Parameters
    ----------
    least : float
        A class is proposed if its AUC is at least this, at the lower end of its interval.

    Raises
    ------
    NotFound, InvalidRequest
    """
    known, names = index.layer(layer), NeuronNames(index)
    if not 0 <= least <= 1:
        raise InvalidRequest(f"the least AUC must be 0 to 1, not {least}")
    wanted = range(known.info.channels) if neurons is None else [known.check_neuron(each) for each in neurons]
    items = [item for neuron in checked(wanted) for item in _of_neuron(index, known, names, neuron, least)]
    return Described(items, len(known.classes), 0, [])


def _of_neuron(index: Index, layer: Layer, names: NeuronNames, neuron: int, least: float) -> Iterator[Description]:
    rank = itertools.count(1)
    category = names.of(layer.name, neuron)
    if category is not None:
        yield Description(neuron, next(rank), category, "category", None, None, None)
    about = layer.selectivity
    code, at_least = int(about.best[neuron]), float(about.best_at_least[neuron])
    if code >= 0 and at_least >= least and index.classes[code] != category:
        yield Description(
            neuron, next(rank), index.classes[code], "class", None, float(about.best_auc[neuron]), at_least
        )


def concepts_digest(concepts: Sequence[str]) -> str:
    """sha256 of a list of concepts, in hexadecimal."""
    return hashlib.sha256("\n".join(concepts).encode()).hexdigest()


def _check(concepts: Sequence[str], template: str, best: int, examples: int) -> None:
    if len(concepts) < 2:
        raise InvalidRequest(f"there must be 2 concepts or more to choose from, not {len(concepts)}")
    if len(set(concepts)) < len(concepts):
        twice = next(concept for concept in concepts if list(concepts).count(concept) > 1)
        raise InvalidRequest(f"the concept {twice!r} is there twice")
    long = [concept for concept in concepts if not 0 < len(concept) <= LONGEST or concept != concept.strip()]
    if long:
        raise InvalidRequest(f"a concept has 1 to {LONGEST} characters and no blanks around it, not {long[0][:300]!r}")
    if "{}" not in template:
        raise InvalidRequest(f"the template must have {{}} in the concept's place; it is {template!r}")
    for name, value in (("best", best), ("examples", examples)):
        if value < 1:
            raise InvalidRequest(f"{name} must be 1 or more, not {value}")


def _encoded(
    index: Index, encoder: Checked, progress: Callable[[int, int], None]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Rows (n,) of the images whose originals are there, their vectors (n, d), and the paths of the others."""
    rows: list[int] = []
    parts: list[np.ndarray] = []
    lost: list[str] = []
    total = len(index.images)
    for first in range(0, total, BATCH):
        batch = []
        for row, record in enumerate(index.find_images(limit=BATCH, offset=first).items, first):
            try:
                batch.append(index.picture(record))
            except ImageUnavailable:
                lost.append(record.path)
            else:
                rows.append(row)
        if batch:
            parts.append(encoder.images(batch))
        progress(min(first + BATCH, total), total)
    if not parts:
        raise InvalidRequest("none of the originals is there; --images says where they are now")
    return np.array(rows), np.concatenate(parts), lost
