"""How a model is made from its name: the arguments of its factory, and how its weights file is read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from indexer.errors import InvalidRequest

PROGRAM_ENDINGS: Final = (".pt", ".pth", ".pt2", ".ts", ".torchscript", ".jit")
"""Endings of files that hold a network together with its code: TorchScript, and exported programs."""


def is_program(name: str) -> bool:
    """Whether a model's name is that of a program's file."""
    return name.lower().endswith(PROGRAM_ENDINGS) and ":" not in name


def is_own(name: str) -> bool:
    """Whether a model's name leads to a person's own code: ``module:factory``, or a program's file."""
    return ":" in name or is_program(name)


@dataclass(frozen=True)
class Loading:
    """Options of a model, besides its name and the name of its weights.

    Attributes
    ----------
    arguments : tuple of (str, str)
        Keyword arguments of the factory: sorted names, and values as JSON.
    weights_key : str or None
        The key under which the weights file holds the weights, with dots for nesting; by default the key whose
        weights fit.
    strip_prefix : str or None
        The prefix removed from the weights' names; by default the one with which they fit.
    strict : bool
        Whether every weight of the network must be in the file, and nothing else.
    """

    arguments: tuple[tuple[str, str], ...] = ()
    weights_key: str | None = None
    strip_prefix: str | None = None
    strict: bool = True

    @property
    def keywords(self) -> dict[str, Any]:
        """The factory's arguments, as it is called with them."""
        return {name: json.loads(value) for name, value in self.arguments}

    def to_json(self) -> dict[str, Any]:
        """The fields that differ from their defaults."""
        fields: dict[str, Any] = {}
        if self.arguments:
            fields["arguments"] = self.keywords
        if self.weights_key is not None:
            fields["weights_key"] = self.weights_key
        if self.strip_prefix is not None:
            fields["strip_prefix"] = self.strip_prefix
        if not self.strict:
            fields["strict"] = False
        return fields

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Loading":
        return cls(
            arguments_of(data.get("arguments", {})),
            data.get("weights_key"),
            data.get("strip_prefix"),
            bool(data.get("strict", True)),
        )


PLAIN: Final = Loading()
"""No options."""


def arguments_of(keywords: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Keyword arguments in the hashable form in which `Loading` keeps them."""
    return tuple((name, json.dumps(value, sort_keys=True)) for name, value in sorted(keywords.items()))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_arguments(texts: Sequence[str], option: str = "--model-args") -> tuple[tuple[str, str], ...]:
    """Parse ``key=value`` texts. A value is read as JSON, or taken as a string if it is not valid JSON.

    Raises
    ------
    InvalidRequest
        A text is not of that form, or a key occurs twice.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidRequest(f"{option} must be key=value, such as num_classes=10, not {text!r}")
        if name in values:
            raise InvalidRequest(f"{option} gives {name} twice")
        try:
            values[name] = json.loads(value, parse_constant=_refuse)
        except ValueError:
            values[name] = value
    return arguments_of(values)
