"""What the network answers, where its output is one of the indexed layers: accuracy and the confusion matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.errors import NotFound
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.similarity import highest

_BLOCK = 1024


@dataclass(frozen=True)
class Confusion:
    """What the network answers on the images whose class is among what it can answer.

    Attributes
    ----------
    layer : str
        The output layer.
    matched : str
        How classes were matched with outputs: "name", "number" or "order".
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

    def pairs(self, limit: int | None = None) -> list[tuple[str, str, float]]:
        """Pairs of classes by how often one is taken for the other: mean of the two shares, largest first.

        At most ``limit``, by default all.
        """
        share = self.matrix / np.maximum(self.images[:, None], 1)
        first, second = np.triu_indices(len(self.classes), 1)
        both = (share[first, second] + share[second, first]) / 2
        ranking = highest(both, len(both) if limit is None else limit).tolist()
        return [(self.classes[first[n]], self.classes[second[n]], float(both[n])) for n in ranking]


def confusion(index: Index) -> Confusion:
    """Compare the network's answers with the classes.

    The answer on an image is the channel of the output layer with the highest value, the first of equals. The output
    layer is the last layer of one cell with as many channels as the model has categories, or, where these are not
    known, as there are classes. Classes stand for channels by the categories' names (in any case; ``-`` for ``/``),
    by number, or, where categories are not known, in order, as in torchvision's ``ImageFolder``.

    Raises
    ------
    NotFound
        There is no such layer, or no class stands for an output.
    """
    layer = output_layer(index)
    if layer is None:
        raise NotFound(
            "the model's output is not indexed: a confusion matrix needs a layer of one cell with as many channels as "
            "the model has categories, or as there are classes; index the model's last module too"
        )
    peaks = index.layer(layer).peaks
    matched, meaning = _meaning(index.classes, index.manifest.categories, len(peaks))
    codes = np.unique(meaning[meaning >= 0])
    if not len(codes):
        raise NotFound(f"no class of the index is the name or the number of an output of {layer}")
    row_of = np.full(len(index.classes) + 1, -1)  # the last for -1
    row_of[codes] = np.arange(len(codes))
    truth = row_of[index.images.class_code]
    rows = np.flatnonzero(truth >= 0)
    answer = row_of[meaning[_highest(peaks)[rows]]]
    cells = truth[rows] * (len(codes) + 1) + answer % (len(codes) + 1)
    counts = np.bincount(cells, minlength=len(codes) * (len(codes) + 1)).reshape(len(codes), -1)
    names = [index.classes[code] for code in codes.tolist()]
    unmatched = [name for code, name in enumerate(index.classes) if code not in set(codes.tolist())]
    return Confusion(layer, matched, names, unmatched, counts.sum(axis=1), counts[:, :-1], counts[:, -1])


def output_layer(index: Index) -> str | None:
    """The layer that holds the model's answers, if it is indexed."""
    width = len(index.manifest.categories) or len(index.classes)
    fitting = [name for name, layer in index.layers.items() if layer.info.cells == 1 and layer.info.channels == width]
    return fitting[-1] if fitting and width > 1 else None


def outputs(index: Index, layer: str) -> np.ndarray:
    """The code of the class (C,) int64 that each neuron of a layer is the model's answer for; -1 for none.

    All are -1 but in the output layer, and there too if no class stands for an output.
    """
    channels = index.layer(layer).info.channels
    if layer != output_layer(index):
        return np.full(channels, -1)
    return _meaning(index.classes, index.manifest.categories, channels)[1]


def _meaning(classes: Sequence[str], categories: Sequence[str], channels: int) -> tuple[str, np.ndarray]:
    """How classes were matched, and the class code (channels,) that each channel stands for, -1 for none."""
    code = {_key(name): number for number, name in enumerate(classes)}
    by_name = np.array([code.get(_key(name), -1) for name in categories], np.int64)
    if (by_name >= 0).any():
        return "name", by_name
    by_number = np.full(channels, -1)
    for number, name in enumerate(classes):
        if name.isascii() and name.isdigit() and len(name) < 10 and int(name) < channels:
            by_number[int(name)] = number
    if (by_number >= 0).any() or categories:
        return "number", by_number
    return "order", np.arange(channels)


def _key(name: str) -> str:
    return name.casefold().replace("/", "-")


def _highest(peaks: np.ndarray) -> np.ndarray:
    columns = range(0, peaks.shape[1], _BLOCK)
    return np.concatenate(
        [peaks[:, first : first + _BLOCK].argmax(axis=0) for first in checked(columns)] or [np.empty(0, int)]
    )
