"""Layers, categories, classes and images by a part of their names."""

from dataclasses import dataclass
from typing import Final

from indexer.query.index import Index
from indexer.query.learning.answering.outputs import NeuronNames, output_layer

LAYER: Final = "layer"
CATEGORY: Final = "category"
CLASS: Final = "class"
IMAGE: Final = "image"
EQUAL, START, WORD, PART = "equal", "start", "word", "part"
GRADES: Final = (EQUAL, START, WORD, PART)
"""How a text can hold what is looked for, best first: it is that, begins so, has a word that begins so, contains it."""
_LOOKED_AT: Final = 2000
"""So many paths that contain the text are graded; where there are more, those of the lowest ids."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found.

    Attributes
    ----------
    kind : str
        `LAYER`, `CATEGORY` (a neuron of the output layer), `CLASS` or `IMAGE`.
    text : str
        The text that holds what was looked for.
    grade : str
        One of `GRADES`.
    layer, neuron, image
        What the text belongs to; None where that has none.
    """

    kind: str
    text: str
    grade: str
    layer: str | None = None
    neuron: int | None = None
    image: int | None = None


def find(index: Index, text: str, most: int = 20) -> list[Found]:
    """Layers, categories, classes and images whose name or path contains a text, in any case of letters; best first."""
    found = [*_categories(index, text), *_classes(index, text), *_layers(index, text), *_images(index, text)]
    return sorted(found, key=lambda one: GRADES.index(one.grade))[:most]


def grade_of(text: str, wanted: str) -> str | None:
    """How a text holds another; None where it does not."""
    text, wanted = text.casefold(), wanted.casefold()
    start = text.find(wanted)
    if start < 0:
        return None
    if start == 0:
        return EQUAL if text == wanted else START
    while start > 0:
        if not text[start - 1].isalnum():
            return WORD
        start = text.find(wanted, start + 1)
    return PART


def _categories(index: Index, text: str) -> list[Found]:
    layer = output_layer(index)
    if layer is None:
        return []
    names = NeuronNames(index)
    named = ((neuron, names.of(layer, neuron) or "") for neuron in range(index.layer(layer).info.channels))
    graded = ((neuron, name, grade_of(name, text)) for neuron, name in named)
    return [Found(CATEGORY, name, grade, layer, neuron) for neuron, name, grade in graded if grade]


def _classes(index: Index, text: str) -> list[Found]:
    graded = ((name, grade_of(name, text)) for name in index.classes)
    return [Found(CLASS, name, grade) for name, grade in graded if grade]


def _layers(index: Index, text: str) -> list[Found]:
    graded = ((name, grade_of(name, text)) for name in index.layers)
    return [Found(LAYER, name, grade, layer=name) for name, grade in graded if grade]


def _images(index: Index, text: str) -> list[Found]:
    """A path is graded by its last part where that holds the text."""
    table = index.images
    found = []
    for row in table.rows_with(text, _LOOKED_AT):
        path = table.path(row)
        grade = grade_of(path.rpartition("/")[2], text) or PART
        found.append(Found(IMAGE, path, EQUAL if path == text else grade, image=int(table.id[row])))
    return found
