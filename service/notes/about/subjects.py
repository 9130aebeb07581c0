"""What a note can be about, and what it is known by: nothing that `add`, `compact` or a rebuild changes."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from indexer.errors import InvalidRequest
from indexer.index.configuration import Configuration, LayerInfo

NEURON: Final = "neuron"
ATOM: Final = "atom"
UNIT: Final = "unit"
DIRECTION: Final = "direction"
IMAGE: Final = "image"
CLASS: Final = "class"
LIST: Final = "list"
KINDS: Final = (NEURON, ATOM, UNIT, DIRECTION, IMAGE, CLASS, LIST)
NUMBERED: Final = (NEURON, ATOM)
"""Kinds whose names stand beside the number of a neuron."""
_NONE: Final = -1
"""Stands for a number that a kind has not: in SQL two NULLs are never equal."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a note is about.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    scope : str
        The digest of the model's weights; for a class the name of its index; "" for images and lists.
    layer : str
        The layer's name; for an encoded layer also the digest of its dictionary, behind an ``@``.
    neuron, y, x : int
        -1 where the kind has none.
    item : str
        The sha256 of an image's file, the digest of a direction, the name of a class, the id of a list.
    """

    kind: str
    scope: str = ""
    layer: str = ""
    neuron: int = _NONE
    y: int = _NONE
    x: int = _NONE
    item: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Its fields, but those that its kind has not."""
        return {name: value for name, value in asdict(self).items() if value not in ("", _NONE)}

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "Subject":
        """From `as_dict`.

        Raises
        ------
        InvalidRequest
            A field is unknown, has another type, or is not one of this kind's.
        """
        types = {name: int if name in ("neuron", "y", "x") else str for name in cls.__slots__}
        wrong = [name for name, value in fields.items() if type(value) is not types.get(name)]
        kind = fields.get("kind")
        expected = {"kind", *_FIELDS.get(str(kind), ())}
        if wrong or set(fields) != expected or any(map(_is_odd, fields.values())):
            raise InvalidRequest(f"{json.dumps(dict(fields))[:200]} is not what a note can be about")
        if not _ITEMS.get(str(kind), _ANYTHING).fullmatch(str(fields.get("item", ""))):
            raise InvalidRequest(f"{str(fields['item'])[:100]!r} names no {kind}")
        return cls(**fields)


_FIELDS: Final = {
    NEURON: ("scope", "layer", "neuron"),
    ATOM: ("scope", "layer", "neuron"),
    UNIT: ("scope", "layer", "neuron", "y", "x"),
    DIRECTION: ("scope", "layer", "item"),
    IMAGE: ("item",),
    CLASS: ("scope", "item"),
    LIST: ("item",),
}


_ITEMS: Final = {
    DIRECTION: re.compile("[0-9a-f]{32}"),
    IMAGE: re.compile("[0-9a-f]{64}"),
    LIST: re.compile("[a-z0-9][a-z0-9._-]{0,63}"),
}
_ANYTHING: Final = re.compile(r".*", re.DOTALL)
_LARGEST: Final = 2**31 - 1


def _is_odd(value: Any) -> bool:
    """Whether a field cannot be one: nothing, or more than a database takes."""
    if isinstance(value, str):
        return not 0 < len(value) <= 2000 or "\0" in value
    return not 0 <= value <= _LARGEST


def layer_key(layer: LayerInfo) -> str:
    """A layer as notes know it: another dictionary of the same name has other atoms."""
    return f"{layer.name}@{layer.dictionary.sha256}" if layer.dictionary else layer.name


def of_neuron(configuration: Configuration, layer: LayerInfo, neuron: int) -> Subject:
    """A neuron, or an atom of a dictionary."""
    kind = ATOM if layer.dictionary else NEURON
    return Subject(kind, configuration.weights_digest, layer_key(layer), neuron)


def of_unit(configuration: Configuration, layer: LayerInfo, neuron: int, y: int, x: int) -> Subject:
    """A neuron at one location of its map."""
    return Subject(UNIT, configuration.weights_digest, layer_key(layer), neuron, y, x)


def of_direction(configuration: Configuration, layer: LayerInfo, direction: str) -> Subject:
    """A direction, by its digest."""
    return Subject(DIRECTION, configuration.weights_digest, layer_key(layer), item=direction)


def of_image(sha256: str) -> Subject:
    """An image, whichever index holds it."""
    return Subject(IMAGE, item=sha256)


def of_class(index: str, name: str) -> Subject:
    """A class of one index: other indexes may call something else so.

    Raises
    ------
    InvalidRequest
        The name is no text: a folder whose name is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        raise InvalidRequest("a class whose name is not UTF-8 cannot have a note") from None
    return Subject(CLASS, index, item=name)


def of_list(id_: str) -> Subject:
    """A list."""
    return Subject(LIST, item=id_)


def direction_digest(weights: Mapping[int, float]) -> str:
    """The digest of a direction: of its weights that are not 0, in the order of neurons."""
    kept = sorted((neuron, float(weight)) for neuron, weight in weights.items() if weight)
    return hashlib.sha256(repr(kept).encode()).hexdigest()[:32]
