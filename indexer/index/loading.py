"""How a model is made of its name: what its factory is given, and how its weights file is read."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from indexer.errors import InvalidRequest

PROGRAM_ENDINGS: Final = (".pt", ".pth", ".pt2", ".ts", ".torchscript", ".jit")
"""Of the files that are a network with its code: TorchScript, and exported programs."""


@dataclass(frozen=True)
class Loading:
    """Options beside a model's and its weights' names.

    Attributes
    ----------
    arguments : tuple of (str, str)
        What the factory is called with: keywords, sorted, and their values as JSON.
    weights_key : str or None
        Under which key of a weights file the weights are, with dots for nesting; by default where they fit.
    strip_prefix : str or None
        What is taken off their names; by default what makes them fit.
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
        """The fields that are not the usual ones."""
        found: dict[str, Any] = {}
        if self.arguments:
            found["arguments"] = self.keywords
        if self.weights_key is not None:
            found["weights_key"] = self.weights_key
        if self.strip_prefix is not None:
            found["strip_prefix"] = self.strip_prefix
        if not self.strict:
            found["strict"] = False
        return found

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
    """Keywords as `Loading` keeps them, which can be hashed."""
    return tuple((name, json.dumps(value, sort_keys=True)) for name, value in sorted(keywords.items()))


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def parse_arguments(texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """``key=value`` texts; a value is JSON, or a string where it is not valid JSON.

    Raises
    ------
    InvalidRequest
        One is not of that form, or a key is there twice.
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.isidentifier():
            raise InvalidRequest(f"--model-args must be key=value, such as num_classes=10, not {text!r}")
        if name in found:
            raise InvalidRequest(f"--model-args gives {name} twice")
        try:
            found[name] = json.loads(value, parse_constant=_refuse)
        except ValueError:
            found[name] = value
    return arguments_of(found)
