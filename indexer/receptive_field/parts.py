"""Layers that are a part of what a module returns: ``MODULE:KEY``.

A key is that of a dict, the field of a dataclass or a named tuple, or a number in a tuple or list, counted from 0.
Within a structure in another, keys follow one another (``lstm:1:0``). ``tokenK`` is the token K of tokens (N, T, C),
counted from 0: ``encoder.ln:token0`` is the class token of most transformers.

Of a module that runs several times in a pass, ``MODULE:callK`` is what it returns the K-th time, counted from 0; a part
of that is ``MODULE:callK:KEY``.
"""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import torch

from indexer.errors import InvalidRequest

MARK = ":"
_CALL = re.compile(r"call(0|[1-9]\d{0,5})(?::|$)")
_TOKEN = re.compile(r"token(0|[1-9]\d{0,5})")
_NAMED = 20  # parts that an error lists


class Place(NamedTuple):
    """Where a layer's output is found: in what a module returns, whole or by a key; perhaps in one of its calls."""

    module: str
    key: str
    call: int | None = None

    @property
    def layer(self) -> str:
        call = "" if self.call is None else f"call{self.call}"
        return MARK.join(part for part in (self.module, call, self.key) if part)

    def counted(self) -> Callable[[], bool]:
        """A function that counts the calls of the module, each time it is called, and says whether it is this one's."""
        numbers = count()
        return lambda: self.call in (None, next(numbers))

    def of(self, returned: Any) -> Any:
        """The layer's output, of what its module returned.

        Raises
        ------
        InvalidRequest
            The module returns no such part; the error names those that there are, with their shapes.
        """
        if not self.key:
            return returned
        found, rest = located(returned, self.key)
        if not rest and found is not None:
            return found
        if (token := token_of(rest)) is None or not isinstance(found, torch.Tensor):
            raise InvalidRequest(self._missing(returned))
        if found.dim() != 3 or token >= found.shape[1]:
            raise InvalidRequest(
                f"layer {self.layer!r}: a token is one of (N, T, C), and the shape is {tuple(found.shape)}"
                + (f", whose last is token{found.shape[1] - 1}" if found.dim() == 3 else "")
            )
        return found[:, token]

    def _missing(self, returned: Any) -> str:
        there = described_parts(Place(self.module, "", self.call).layer, returned) or described(returned)
        return f"layer {self.layer!r}: {self.module!r} returns no part {self.key!r}; it returns {there}"


def place_of(layer: str, modules: Collection[str]) -> Place | None:
    """Where a layer is found in a model with modules of these names; None where none of them returns it."""
    if layer in modules:
        return Place(layer, "")
    ends = [found.start() for found in re.finditer(MARK, layer)]
    for end in reversed(ends):
        if layer[:end] in modules and layer[end + 1 :]:
            key = layer[end + 1 :]
            call = _CALL.match(key)
            return Place(layer[:end], key[call.end() :], int(call[1])) if call else Place(layer[:end], key)
    return None


def place_in(model: torch.nn.Module, layer: str) -> Place:
    """The same in a model that is known to have the layer's module."""
    place = place_of(layer, {name for name, _ in model.named_modules()} - {""})
    assert place is not None, layer
    return place


def located(returned: Any, key: str) -> tuple[Any, str]:
    """The value within a structure to which a key leads, and the rest of the key, which leads further.

    The structure itself and the whole key, where it leads nowhere.
    """
    parts = dict(_leaves(returned))
    ends = [len(key), *reversed([found.start() for found in re.finditer(MARK, key)])]
    for end in ends:
        if key[:end] in parts:
            return parts[key[:end]], key[end + 1 :]
    return returned, key


def token_of(key: str) -> int | None:
    """The number of the token that a key names, None where it names none."""
    found = _TOKEN.fullmatch(key)
    return int(found[1]) if found else None


def described_parts(module: str, returned: Any) -> str:
    """The tensors in what a module returns, each as ``MODULE:KEY`` with its shape; empty where there are none."""
    parts = [
        f"{module}{MARK}{key} {tuple(part.shape)}"
        for key, part in _leaves(returned)
        if key and isinstance(part, torch.Tensor)
    ]
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return ", ".join(parts[:_NAMED]) + more


def described(returned: Any) -> str:
    """What a module returns, in a word or two."""
    if isinstance(returned, torch.Tensor):
        return f"a tensor of shape {tuple(returned.shape)}"
    return f"{'an' if type(returned).__name__[:1] in 'AEIOUaeiou' else 'a'} {type(returned).__name__}"


def _leaves(returned: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Whatever in a structure is no structure itself, with its key."""
    items = _items(returned)
    if items is None:
        yield MARK.join(path), returned
        return
    for name, item in items.items():
        yield from _leaves(item, (*path, str(name)))


def _items(returned: Any) -> Mapping[Any, Any] | None:
    """The parts of a structure by name, None where it is none."""
    if isinstance(returned, Mapping):  # such as the outputs of `transformers`, which are dataclasses too
        return returned
    if dataclasses.is_dataclass(returned) and not isinstance(returned, type):
        return {field.name: getattr(returned, field.name) for field in dataclasses.fields(returned)}
    if isinstance(returned, tuple) and hasattr(returned, "_fields"):
        return dict(zip(returned._fields, returned, strict=True))
    if isinstance(returned, (list, tuple)) and not isinstance(returned, torch.Size):
        return dict(enumerate(returned))
    return None
