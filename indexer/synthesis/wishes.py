"""What may be wished of an image, by name: a neuron, a unit, a patch's or a class's direction, an output, a layer.

A wish is turned into an objective for so many images; `read_wish` reads one from words, as a command has them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from indexer.errors import InvalidRequest
from indexer.explain.outputs import answering_outputs, output_named
from indexer.explain.sources import spread
from indexer.query.index import Index
from indexer.synthesis.ascending.objectives import Amplified, Direction, NeuronAt, NeuronMean, Objective
from indexer.synthesis.trust import PHOTOGRAPHS


@dataclass(frozen=True)
class Wish:
    """Something that an image should do.

    Attributes
    ----------
    layer : str
    objective : callable (images) -> Objective
        The objective for so many images.
    about : dict
        Everything that decides it, as JSON.
    weight : float
        How much it counts beside others; below 0 it is avoided.
    """

    layer: str
    objective: Callable[[int], Objective]
    about: dict[str, Any]
    weight: float = 1.0


def of_neuron(index: Index, layer: str, neuron: int) -> Wish:
    """A neuron, on the mean over its map; raises NotFound."""
    index.layer(layer).check_neuron(neuron)
    about = {"want": "neuron", "layer": layer, "neuron": neuron}
    return Wish(layer, lambda images: NeuronMean(layer, [neuron] * images), about)


def of_unit(index: Index, layer: str, neuron: int, y: int, x: int) -> Wish:
    """A neuron at one cell; raises NotFound."""
    found = index.layer(layer)
    found.check_neuron(neuron)
    found.check_cell(y, x)
    about = {"want": "unit", "layer": layer, "neuron": neuron, "y": y, "x": x}
    return Wish(layer, lambda images: NeuronAt(layer, [neuron] * images, (y, x)), about)


def of_patch(index: Index, layer: str, image: int, y: int, x: int) -> Wish:
    """The direction of the activations at a cell of an indexed image, with length 1.

    Raises
    ------
    NotFound
    InvalidRequest
        Nothing is active there.
    """
    index.layer(layer).check_cell(y, x)
    vector = index.activation_maps(image, layer)[:, y, x].astype(np.float64)
    length = float(np.linalg.norm(vector))
    if not length:
        raise InvalidRequest(f"nothing is active at cell {y},{x} of {layer} on image {image}, so it is no direction")
    about = {"want": "patch", "layer": layer, "image": image, "y": y, "x": x}
    return _direction(layer, vector / length, about)


def of_class(index: Index, layer: str, class_: str) -> Wish:
    """The direction that tells a class's images from others: in standard deviations, with length 1.

    The weights are those of a linear discriminant that takes neurons as independent: the mean peak on the class's
    images less that on all, over the variance. Each mean is measured on at most `PHOTOGRAPHS` images, at equal
    distances.

    Raises
    ------
    NotFound
    InvalidRequest
        The peaks do not differ between images.
    """
    found = index.layer(layer)
    rows = index.images.rows_of_class(class_)
    peaks = np.asarray(found.peaks_by_image[spread(np.arange(len(index.images)), PHOTOGRAPHS)], np.float64)
    own = np.asarray(found.peaks_by_image[spread(rows, PHOTOGRAPHS)], np.float64).mean(axis=0)
    deviation = peaks.std(axis=0)
    apart = np.divide(own - peaks.mean(axis=0), deviation, out=np.zeros_like(own), where=deviation > 0)
    length = float(np.linalg.norm(apart))
    if not length:
        raise InvalidRequest(f"the peaks of {layer} on images of {class_} are those on all images: it is no direction")
    weights = np.divide(apart / length, deviation, out=np.zeros_like(own), where=deviation > 0)
    return _direction(layer, weights, {"want": "class", "layer": layer, "class": class_})


def of_output(index: Index, name: str) -> Wish:
    """An output of the network, by its number, its class or its name; raises NotFound."""
    layer, output = answering_outputs(index).layer, output_named(index, name)
    about = {"want": "output", "layer": layer, "neuron": output}
    return Wish(layer, lambda images: NeuronMean(layer, [output] * images), about)


def of_layer(index: Index, layer: str) -> Wish:
    """All that a layer does: the mean of its squared activations; raises NotFound."""
    index.layer(layer)
    return Wish(layer, lambda images: Amplified(layer), {"want": "layer", "layer": layer})


def read_wish(index: Index, words: Sequence[str]) -> Wish:
    """A wish from words: a weight, if it is not 1, then a key of `FORMS` and what belongs to it.

    >>> read_wish(index, ["-0.5", "unit", "features.12", "412", "6,6"])

    Raises
    ------
    NotFound
    InvalidRequest
        The words say nothing that may be wished.
    """
    weight, rest = _weight_of(words)
    kind, *values = rest or ("",)
    if kind not in FORMS or len(values) != len(FORMS[kind].split()):
        raise InvalidRequest(
            f"{' '.join(words)!r} says nothing that may be wanted; say "
            + ", or ".join(f"{name} {form}" for name, form in FORMS.items())
            + ", with a weight in front if it is not 1"
        )
    wish = _READERS[kind](index, *values)
    return Wish(wish.layer, wish.objective, wish.about, weight)


FORMS: Final[Mapping[str, str]] = {
    "neuron": "LAYER NEURON", "unit": "LAYER NEURON Y,X", "patch": "LAYER IMAGE Y,X", "class": "LAYER CLASS",
    "output": "NAME", "layer": "LAYER",
}  # fmt: skip
"""The kinds of wishes, and what is said of each."""
_READERS: Final[Mapping[str, Callable[..., Wish]]] = {
    "neuron": lambda index, layer, neuron: of_neuron(index, layer, _number(neuron)),
    "unit": lambda index, layer, neuron, cell: of_unit(index, layer, _number(neuron), *_cell(cell)),
    "patch": lambda index, layer, image, cell: of_patch(index, layer, _number(image), *_cell(cell)),
    "class": of_class,
    "output": of_output,
    "layer": of_layer,
}


def _direction(layer: str, weights: np.ndarray, about: dict[str, Any]) -> Wish:
    chosen = {int(neuron): float(weights[neuron]) for neuron in np.flatnonzero(weights)}
    return Wish(layer, lambda images: Direction(layer, chosen), about)


def _weight_of(words: Sequence[str]) -> tuple[float, Sequence[str]]:
    try:
        weight = float(words[0])
    except (ValueError, IndexError):
        return 1.0, words
    if not 0 < abs(weight) <= 1e6:
        raise InvalidRequest(f"a weight must be above 0 and at most 1e6, or the same below 0, not {words[0]}")
    return weight, words[1:]


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidRequest(f"{text!r} must be a number, such as 17")
    return int(text)


def _cell(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2:
        raise InvalidRequest(f"{text!r} must be a cell, its row and its column, such as 6,6")
    return _number(parts[0]), _number(parts[1])
