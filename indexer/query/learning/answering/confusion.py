"""How often the network answers a class with another, where its output is one of the indexed layers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.query.index import Index
from indexer.query.learning.answering.answers import Answers, answers_of


@dataclass(frozen=True)
class Confused:
    """A class that is answered as another.

    ``images`` are answered so, ``share`` is their part of the class's images.
    """

    class_: str
    answered: str
    images: int
    share: float

    def as_dict(self) -> dict[str, object]:
        return {"class": self.class_, "answered": self.answered, "images": self.images, "share": self.share}


@dataclass(frozen=True)
class Confusion:
    """What the network answers on the images whose class is among what it can answer.

    Attributes
    ----------
    layer : str
        The output layer.
    matched : str
        How classes were matched with outputs: "name", "wordnet", "number" or "order".
    classes : list of str
        Those that stand for an output, sorted.
    unmatched : list of str
        Those that stand for none; their images are left out.
    images : ndarray (K,) int64
        Images of each class.
    matrix : ndarray (K, K) int64
        Row: class of the image, column: answer.
    elsewhere : ndarray (K,) int64
        Images answered with something that is not a class of the index.
    """

    layer: str
    matched: str
    classes: list[str]
    unmatched: list[str]
    images: np.ndarray
    matrix: np.ndarray
    elsewhere: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share of the images whose answer is their class."""
        return float(np.trace(self.matrix) / self.images.sum())

    @property
    def recalls(self) -> list[float | None]:
        """Share (K,) of each class's images that are answered with it; None for a class without images."""
        right = np.diagonal(self.matrix).tolist()
        return [n / images if images else None for n, images in zip(right, self.images.tolist(), strict=True)]

    def confused(self, limit: int | None = None) -> list[Confused]:
        """Which class is answered as which other, by how many images, most first, then by share.

        Each direction stands for itself: a class that is taken for another, and never the reverse, is the mark of a
        shortcut. At most ``limit``, by default all that happened.
        """
        share = self.matrix / np.maximum(self.images[:, None], 1)
        wrong = self.matrix * ~np.eye(len(self.classes), dtype=bool)
        a, b = np.nonzero(wrong)
        ranking = np.lexsort((-share[a, b], -wrong[a, b]))[:limit]
        return [
            Confused(self.classes[row], self.classes[column], int(wrong[row, column]), float(share[row, column]))
            for row, column in zip(a[ranking].tolist(), b[ranking].tolist(), strict=True)
        ]


def confusion(index: Index) -> Confusion:
    """Compare the network's answers with the classes.

    `indexer.query.learning.answering.outputs` says how classes and outputs are matched. The answer on an image is
    the output with the highest value, the first of equals.

    Raises
    ------
    NotFound
        There is no output layer, or no class stands for an output.
    """
    return confusion_of(index.classes, answers_of(index))


def confusion_of(classes: Sequence[str], answers: Answers) -> Confusion:
    """`confusion` of any answers, with the classes of their index."""
    outputs = answers.outputs
    codes = np.unique(outputs.code[outputs.code >= 0])
    row_of = np.full(len(classes) + 1, -1)  # the last for -1
    row_of[codes] = np.arange(len(codes))
    truth, answer = row_of[answers.code], row_of[outputs.code[answers.answer]]
    cells = truth * (len(codes) + 1) + answer % (len(codes) + 1)
    counts = np.bincount(cells, minlength=len(codes) * (len(codes) + 1)).reshape(len(codes), len(codes) + 1)
    names = [classes[code] for code in codes.tolist()]
    unmatched = [name for code, name in enumerate(classes) if code not in set(codes.tolist())]
    return Confusion(
        outputs.layer, outputs.matched, names, unmatched, counts.sum(axis=1), counts[:, :-1], counts[:, -1]
    )
