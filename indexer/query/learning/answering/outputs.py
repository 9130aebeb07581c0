"""The outputs of a network: which layer holds them, what they are called, and which class each stands for."""

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.errors import NotFound
from indexer.index.told_outputs import NOTHING_TOLD, ToldOutputs
from indexer.inputs.class_map import output_told
from indexer.inputs.wordnet import IDS, counts_as_imagenet, parsed
from indexer.query.index import Index

MAP, NAME, WORDNET, NUMBER, ORDER = "map", "name", "wordnet", "number", "order"
"""How classes can be matched with outputs."""


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network, and how classes were matched with them.

    Attributes
    ----------
    layer : str
        The output layer.
    matched : str
        `MAP`, `NAME`, `WORDNET`, `NUMBER` or `ORDER`.
    names : list of str
        What each output is called: its category, or, where categories are not known, its class or its number.
    code : ndarray (C,) int64
        The code of the class that each output stands for; -1 for none.
    """

    layer: str
    matched: str
    names: list[str]
    code: np.ndarray

    def output_of(self, classes: int) -> np.ndarray:
        """For each class code the output (classes + 1,) int64 that stands for it, -1 for none; the last is -1."""
        found = np.full(classes + 1, -1)
        known = np.flatnonzero(self.code >= 0)
        found[self.code[known]] = known
        return found


def outputs_of(index: Index) -> Outputs:
    """The outputs of an index's network, of which at least one is what a class stands for.

    Raises
    ------
    NotFound
        There is no output layer, or no class stands for an output.
    """
    outputs = named_outputs(index)
    if not (outputs.code >= 0).any():
        raise NotFound(
            f"no class of the index is the name or the number of an output of {outputs.layer}{_hint(index, outputs)}"
        )
    return outputs


def named_outputs(index: Index) -> Outputs:
    """The outputs of an index's network, whether classes stand for them or not.

    A class stands for the output whose category has its name (in any case; ``-`` for ``/``) or its WordNet id
    (``n01440764``, ``n01440764_tench``; the name behind it counts where the id does not), or whose number is its name.
    A name that two categories or two classes share matches nothing. A person may have said which category a class
    stands for, which then counts; or that classes stand for outputs in order, as torchvision's ``ImageFolder`` counts
    classes, which counts where there are as many.

    Raises
    ------
    NotFound
        There is no output layer.
    """
    # To compare a thousand names would be most of the time of every list of neurons.
    return index.once(named_outputs, lambda: _named(index))


def _named(index: Index) -> Outputs:
    layer = output_layer(index)
    if layer is None:
        raise NotFound(_not_indexed(index))
    channels = index.layer(layer).info.channels
    categories, classes = categories_of(index, channels), index.classes
    way, code = matched(classes, categories, channels, index.manifest.told_outputs)
    code.setflags(write=False)  # all who ask get the same
    return Outputs(layer, way, _names(classes, categories, way, code), code)


class NeuronNames:
    """What the neurons of the output layer are called; those of other layers have no names."""

    def __init__(self, index: Index) -> None:
        self._layer = output_layer(index)
        self._names = [] if self._layer is None else named_outputs(index).names

    def of(self, layer: str, neuron: int) -> str | None:
        """The category of a neuron, or its class; None where it has neither."""
        if layer != self._layer or self._names[neuron] == str(neuron):
            return None
        return self._names[neuron]


def own_outputs(index: Index, outputs: Outputs) -> np.ndarray:
    """The output (N,) int64 that the class of each image stands for; -1 for none."""
    own: np.ndarray = outputs.output_of(len(index.classes))[index.images.class_code]
    return own


def outputs_named(index: Index, outputs: Outputs, name: str) -> list[int]:
    """The outputs that a person may mean by a name: that of the class of this name, or else all that are called so."""
    with contextlib.suppress(NotFound):
        output = int(outputs.output_of(len(index.classes))[index.images.code_of(name)])
        if output >= 0:
            return [output]
    return [output for output, known in enumerate(outputs.names) if known == name]


def output_layer(index: Index) -> str | None:
    """The layer that holds the model's answers, if it is indexed.

    An index says which layer the network returns. One of an older program does not; there it is taken to be the last
    layer of one cell with as many channels as the model has categories, or, if these are not known, as there are
    classes.
    """
    if index.manifest.output is not None:
        layer = index.layers.get(index.manifest.output)
        return index.manifest.output if layer and layer.info.cells == 1 and layer.info.channels > 1 else None
    width = len(index.manifest.categories) or len(index.classes)
    fitting = [name for name, layer in index.layers.items() if layer.info.cells == 1 and layer.info.channels == width]
    return fitting[-1] if fitting and width > 1 else None


def classes_of(index: Index, layer: str) -> np.ndarray:
    """The code of the class (C,) int64 that each neuron of a layer is the model's answer for; -1 for none.

    All are -1 but in the output layer, and there too if no class stands for an output.
    """
    channels = index.layer(layer).info.channels
    if layer != output_layer(index):
        return np.full(channels, -1)
    return named_outputs(index).code


def categories_of(index: Index, outputs: int) -> list[str]:
    """The names of the outputs; none where the known names are not as many."""
    names = index.manifest.categories
    return list(names) if len(names) == outputs else []


def unmatched_classes(index: Index, outputs: Outputs) -> list[str]:
    """The classes that stand for no output, sorted."""
    known = set(outputs.code.tolist())
    return [name for number, name in enumerate(index.classes) if number not in known]


def _hint(index: Index, outputs: Outputs) -> str:
    """What may help where no class stands for an output."""
    if categories_of(index, len(outputs.code)):
        return "; relabel --class-map FILE says which category each class stands for"
    hint = "; relabel --categories FILE gives the outputs names"
    if len(outputs.code) == len(index.classes):
        return hint + ", and --by-order says that they are in the order of the classes"
    told = f", and --by-order was said, but there are {len(index.classes)} classes for {len(outputs.code)} outputs"
    return hint + (told if index.manifest.told_outputs.by_order else "")


def _not_indexed(index: Index) -> str:
    vectors = [name for name, layer in index.layers.items() if layer.info.cells == 1]
    if index.manifest.output is not None:
        return "the model's output is not indexed: none of the layers is what it returns; index its last module too"
    if not index.manifest.categories and vectors:
        channels = index.layer(vectors[-1]).info.channels
        return (
            f"the model's output is not known: {vectors[-1]} has {channels} neurons, the index has "
            f"{len(index.classes)} classes, and the names of the model's categories are not known"
        )
    return (
        "the model's output is not indexed: answers need a layer of one cell with as many channels as the model has "
        "categories, or as there are classes; index the model's last module too"
    )


def matched(
    classes: Sequence[str], categories: Sequence[str], channels: int, told: ToldOutputs = NOTHING_TOLD
) -> tuple[str, np.ndarray]:
    """How classes were matched, and the class code (channels,) that each output stands for, -1 for none."""
    if told.by_order and len(classes) == channels:
        return ORDER, np.arange(channels)
    by_map = _by_map(classes, categories, channels, told.classes)
    way, code = _by_themselves(classes, categories, channels)
    if (by_map < 0).all():
        return way, code
    left = ~np.isin(code, [number for number, name in enumerate(classes) if name in told.classes])
    return MAP, np.where(by_map >= 0, by_map, np.where(left, code, -1))


def _by_themselves(classes: Sequence[str], categories: Sequence[str], channels: int) -> tuple[str, np.ndarray]:
    """As `matched`, by what classes are called."""
    by_name = _by_key([_key(name) for name in classes], [_key(name) for name in categories])
    by_id = _by_wordnet_id(classes, categories)
    if (by_id >= 0).any():
        return WORDNET, np.where(by_id >= 0, by_id, by_name)
    if (by_name >= 0).any():
        return NAME, by_name
    numbers = [str(int(name)) if name.isascii() and name.isdigit() and len(name) < 10 else "" for name in classes]
    return NUMBER, _by_key(numbers, [str(number) for number in range(channels)])


def _by_map(classes: Sequence[str], categories: Sequence[str], channels: int, told: Mapping[str, str]) -> np.ndarray:
    """For each output (C,) the number of the class that a person has given its category, -1 for none."""
    found = np.full(channels, -1)
    for number, name in enumerate(classes):
        output = output_told(told[name], categories, channels) if name in told else None
        if output is not None:
            found[output] = number
    return found


def _by_wordnet_id(classes: Sequence[str], categories: Sequence[str]) -> np.ndarray:
    """For each output (C,) the number of the class that has its WordNet id, or its name behind another's id."""
    ids, rests = zip(*map(parsed, classes), strict=True) if classes else ((), ())
    found = np.full(len(categories), -1)
    if counts_as_imagenet(categories):
        found = _by_key(ids, IDS)
        rests = tuple("" if id in IDS else rest for id, rest in zip(ids, rests, strict=True))
    by_rest = _by_key([_key(rest) for rest in rests], [_key(name) for name in categories])
    return np.where(found >= 0, found, by_rest)


def _by_key(classes: Sequence[str], outputs: Sequence[str]) -> np.ndarray:
    """For each output (C,) the number of the one class with its key, -1 where either key stands twice."""
    shared = {key for keys in (classes, outputs) for key, times in Counter(keys).items() if times > 1}
    number = {key: n for n, key in enumerate(classes)}
    return np.array([-1 if key in shared else number.get(key, -1) for key in outputs], np.int64)


def _names(classes: Sequence[str], categories: Sequence[str], way: str, code: np.ndarray) -> list[str]:
    if categories:
        return list(categories)
    return [classes[c] if c >= 0 and way in (MAP, ORDER) else str(number) for number, c in enumerate(code.tolist())]


def _key(name: str) -> str:
    return name.casefold().replace("/", "-")
