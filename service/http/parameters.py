"""Parameters of a path or a query: texts -> values of the type that their schema names."""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import jsonschema_rs

from service.errors import Fault

_INTEGER = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")


class WrongText(ValueError):
    """A text that is not a value of the type asked for."""


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise WrongText
    return int(text)


def _number(text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.inf
    if not math.isfinite(value):
        raise WrongText
    return value


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise WrongText
    return text == "true"


_READERS: Final[dict[str, Callable[[str], Any]]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": str,
}


@dataclass(frozen=True)
class Parameter:
    """A path or query parameter."""

    name: str
    where: str
    required: bool
    schema: dict[str, Any]
    validator: jsonschema_rs.Draft202012Validator

    @property
    def default(self) -> Any:
        """Its value when it is not given."""
        return self.schema.get("default")

    def read_all(self, texts: list[str]) -> list[Any]:
        """The values of a list, one a text; raises `WrongText`."""
        reader = _READERS[self.schema["items"]["type"]]
        values = [reader(text) for text in texts]
        if not self.validator.is_valid(values):
            raise WrongText
        return values

    def read(self, text: str) -> Any:
        """The value that a text stands for; raises `WrongText`."""
        value = _READERS[self.schema["type"]](text)
        if not self.validator.is_valid(value):
            raise WrongText
        return value

    def fault(self, detail: str | None = None) -> Fault:
        return Fault(self.where, self.name, detail or f"must be {wanted(self.schema)}")


def read_one(parameter: Parameter, texts: list[str], given: dict[str, Any]) -> Iterator[Fault]:
    """Put the value of a parameter, or its default, into ``given``; yields its faults."""
    if parameter.schema["type"] == "array" and texts:
        try:
            given[parameter.name] = parameter.read_all(texts)
        except WrongText:
            yield parameter.fault()
    elif len(texts) > 1:
        yield parameter.fault("must be given once")
    elif texts:
        try:
            given[parameter.name] = parameter.read(texts[0])
        except WrongText:
            yield parameter.fault()
    elif parameter.required:
        yield parameter.fault("is missing")
    else:
        given[parameter.name] = parameter.default


def wanted(schema: dict[str, Any]) -> str:
    """The values that a simple schema allows, in words."""
    if "x-wanted" in schema:  # a pattern tells people little
        return str(schema["x-wanted"])
    kind = schema["type"]
    if kind == "array":
        return f"given {schema['minItems']} to {schema['maxItems']} times, each {wanted(schema['items'])}"
    if "enum" in schema:
        return "one of " + ", ".join(schema["enum"])
    if kind == "boolean":
        return "true or false"
    if kind == "string":
        return f"a text of {schema.get('minLength', 0)} to {schema.get('maxLength', 'any number of')} characters"
    lowest = f"above {schema['exclusiveMinimum']}" if "exclusiveMinimum" in schema else f"from {schema['minimum']}"
    return f"{'an integer' if kind == 'integer' else 'a number'} {lowest} to {schema['maximum']}"
