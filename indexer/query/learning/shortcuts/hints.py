"""Hints at a shortcut: something in some images that stands for a class to the network, and is no part of the class.

Each is a reason to look at patches, and no proof. There are three kinds: neurons that keep to one place
(`indexer.query.learning.shortcuts.one_place`), neurons that tell a class by some of its images
(`indexer.query.learning.shortcuts.class_parts`), and classes that are ranked well but seldom answered: their own output
tells them from the others with an AUC of at least `RANKED`, and at most `LOW_RECALL` of their images are answered with
them.
The first two are asked of every indexed layer that does not hold the answers.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from indexer.errors import NotFound
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.query.learning.answering.outputs import output_layer
from indexer.query.learning.answering.scores import scores
from indexer.query.learning.classes import coverage
from indexer.query.learning.shortcuts.class_parts import SMALLEST_CLASS, ToldByPart, told_by_part
from indexer.query.learning.shortcuts.one_place import TOP, OnePlace, at_one_place

ONE_PLACE, PART_OF_CLASS, SELDOM_ANSWERED = "one-place", "part-of-class", "seldom-answered"

RANKED: Final = 0.8
LOW_RECALL: Final = 0.2

SHOWN: Final = 5
"""So many neurons of one kind are given for a layer at most."""


@dataclass(frozen=True)
class Hint:
    """Something to look at.

    Attributes
    ----------
    kind : str
        `ONE_PLACE`, `PART_OF_CLASS` or `SELDOM_ANSWERED`.
    layer : str
    neuron : int
        The neuron whose patches show it.
    class_ : str or None
        The class that it is about.
    text : str
        A sentence with its figures.
    """

    kind: str
    layer: str
    neuron: int
    class_: str | None
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values; ``class_`` is called ``class``."""
        return {name.rstrip("_"): value for name, value in asdict(self).items()}


def hints(index: Index) -> list[Hint]:
    """All hints, by layer and kind, those about answers last; none without two classes.

    What is read is bounded: the vectors at `TOP` peaks of 8 neurons a layer, and 4,000 peaks of a neuron.
    """
    if len(index.classes) < 2:
        return []
    answers = output_layer(index)
    hidden = [index.layer(name) for name in index.layers if name != answers]
    return [*(hint for layer in hidden for hint in _of_layer(index, layer)), *_of_answers(index)]


def _of_layer(index: Index, layer: Layer) -> Iterator[Hint]:
    for one in at_one_place(index, layer)[:SHOWN]:
        yield Hint(ONE_PLACE, layer.name, one.neuron, None, _place_text(layer.name, one))
    for part in told_by_part(layer)[:SHOWN]:
        class_ = index.classes[part.class_code]
        yield Hint(PART_OF_CLASS, layer.name, part.neuron, class_, _part_text(layer.name, class_, part))


def _of_answers(index: Index) -> Iterator[Hint]:
    try:
        found = scores(index)
    except NotFound:  # no output layer, or no class stands for an output
        return
    layer = found.judged.answers.outputs.layer
    covered = {one.class_: one for one in coverage(index, layer)}
    for one in found.classes:
        neuron, ranked = covered[one.class_].own_neuron, covered[one.class_].own_auc
        if neuron is None or ranked is None or one.recall is None or one.images < SMALLEST_CLASS:
            continue
        if ranked >= RANKED and one.recall <= LOW_RECALL:
            yield Hint(SELDOM_ANSWERED, layer, neuron, one.class_, _answer_text(one.class_, one.recall, ranked))


def _place_text(layer: str, one: OnePlace) -> str:
    return (
        f"{layer}: the top patches of neuron {one.neuron} lie at one place ({one.at_place:.0%} of {TOP} near row "
        f"{one.y}, column {one.x} of the map) and look alike (mean cosine {one.alike:.2f}), although their images are "
        f"of {one.classes} classes. Something there may stand for a class."
    )


def _part_text(layer: str, class_: str, one: ToldByPart) -> str:
    return (
        f"{layer}: neuron {one.neuron} tells {class_} from the rest (AUC {one.auc:.2f}) by {one.parts.upper:.0%} of "
        f"its images, which stand apart; the others it hardly tells (AUC {one.parts.lower_auc:.2f}). These images may "
        "share something that is no part of the class."
    )


def _answer_text(class_: str, recall: float, ranked: float) -> str:
    return (
        f"{class_} is answered on only {recall:.0%} of its images, although its output ranks them well (AUC "
        f"{ranked:.2f}). The network may wait for something that these images lack."
    )
