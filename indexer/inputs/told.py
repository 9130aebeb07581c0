"""What is known of a network's preprocessing, and who said it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Final

from indexer.errors import InvalidRequest
from indexer.images.preprocessing import PARSERS, Preprocessing

OPTIONS: Final = {
    "resize": "--resize 32 for the shorter side, --resize 32x48 for height and width, --resize none for as it is",
    "crop": "--crop 32x48",
    "mean": "--mean 0.5,0.5,0.5",
    "std": "--std 0.25,0.25,0.25",
}
EXAMPLE: Final = "return module, dict(resize=32, crop=32, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))"
BY_DEFAULT: Final = "not told, so the usual one"


@dataclass(frozen=True)
class Told:
    """Fields of a `Preprocessing`, as many as are known.

    Attributes
    ----------
    fields : dict
        Values by the name of the field.
    sources : dict of str to str
        Who said each.
    notes : tuple of str
        What else a person should know of how they were understood.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any], source: str, notes: tuple[str, ...] = ()) -> "Told":
        """Values that one source gives.

        Raises
        ------
        InvalidRequest
            A field does not exist, or has no such value.
        """
        for name in values:
            if name not in PARSERS:
                close = get_close_matches(str(name), PARSERS, n=1)
                hint = f"; do you mean {close[0]}?" if close else ""
                raise InvalidRequest(
                    f"{source}: preprocessing has no field {name!r}, its fields are {', '.join(PARSERS)}{hint}"
                )
        try:
            parsed = {name: PARSERS[name](value) for name, value in values.items()}
        except InvalidRequest as error:
            raise InvalidRequest(f"{source}: {error}") from error
        _refuse_bytes(parsed, source)
        return cls(parsed, dict.fromkeys(parsed, source), notes)

    def with_options(self, options: Mapping[str, Any]) -> "Told":
        """These with what was asked for on the command line, which comes first."""
        told = [Told.of({name: value}, f"--{name.replace('_', '-')}") for name, value in options.items()]
        fields, sources = dict(self.fields), dict(self.sources)
        for one in told:
            fields |= one.fields
            sources |= one.sources
        return Told(fields, sources, self.notes)

    def complete(self, model: str) -> tuple[Preprocessing, dict[str, str]]:
        """The preprocessing of a model, and who said what of it.

        Raises
        ------
        InvalidRequest
            It is not complete; every missing field is named, and how to give it.
        """
        fields, sources = dict(self.fields), dict(self.sources)
        if "crop" not in fields and len(fields.get("resize") or ()) == 2:
            fields["crop"], sources["crop"] = None, "nothing is left to crop"
        if "interpolation" not in fields:
            sources["interpolation"] = BY_DEFAULT
        missing = [name for name in OPTIONS if name not in fields]
        if missing:
            ways = "; ".join(f"{name} ({OPTIONS[name]})" for name in missing)
            raise InvalidRequest(
                f"the model {model} does not say how an image becomes its input, and nothing is assumed; missing: "
                f"{ways}. Or let its factory tell: {EXAMPLE}"
            )
        try:
            return Preprocessing(**fields), sources
        except InvalidRequest as error:
            told = ", ".join(f"{name} {text_of(fields[name])} ({sources[name]})" for name in ("resize", "crop"))
            raise InvalidRequest(f"the model {model}: {error}; told were {told}") from error


def text_of(value: Any) -> str:
    """A field's value as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if all(isinstance(part, int) for part in value):
        return "x".join(map(str, value))
    return ",".join(f"{part:g}" for part in value)


def _refuse_bytes(fields: Mapping[str, Any], source: str) -> None:
    """Figures of channels in 0..255 would make every input nearly the same."""
    for name in ("mean", "std"):
        if max(fields.get(name, (0,))) > 2:
            raise InvalidRequest(
                f"{source}: {name} {text_of(fields[name])} seems to be of channels in 0..255; here they are in 0..1, "
                "so divide mean and std by 255"
            )
