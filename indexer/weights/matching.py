"""Which part of a weights file, and which of its names' prefixes, fit a network best.

1. ``candidates = fits(content, expected)`` is every nesting with every prefix that lets some name fit, the best first.
2. ``the_best(candidates, expected, strict=True)`` is the first, unless another fits as well and has other values.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch

from indexer.errors import InvalidRequest

_DEPTH: Final = 8
_OPTIONAL: Final = "num_batches_tracked"
"""A counter of training: torch itself puts it where an old file lacks it."""


@dataclass(frozen=True)
class Fit:
    """A way to read a file for a network.

    Attributes
    ----------
    path : tuple of str
        The keys that lead to the weights.
    stripped, added : str
        What is taken off the file's names, and what is put before them.
    state : dict
        The network's names and the file's values.
    elsewhere : tuple of str
        The file's names that lack the prefix.
    good, unexpected : tuple of str
        The network's names that have a value of the right shape; names that the network does not have.
    """

    path: tuple[str, ...]
    stripped: str
    added: str
    state: dict[str, Any]
    elsewhere: tuple[str, ...]
    good: tuple[str, ...]
    unexpected: tuple[str, ...]
    metadata: dict[str, Any] | None = None

    @property
    def rank(self) -> tuple[int, int, int, int]:
        """What is better is smaller: more that fits, less that does not, less done to the names."""
        return -len(self.good), len(self.unexpected), len(self.stripped) + len(self.added), len(self.path)

    @property
    def key(self) -> str:
        """Its path as ``--weights-key`` takes it."""
        return ".".join(self.path)

    def __str__(self) -> str:
        """What was done, for a person; "" if nothing."""
        parts = []
        if self.path:
            parts.append(f"the weights are those under {self.key!r}")
        if self.stripped:
            parts.append(f"{self.stripped!r} was taken off their names")
        if self.added:
            parts.append(f"{self.added!r} was put before their names")
        if parts and self.elsewhere:
            parts.append(f"{len(self.elsewhere)} names without it were left out ({some(self.elsewhere)})")
        return "; ".join(parts)


def some(names: object, most: int = 3) -> str:
    """A few of some names, and how many more there are."""
    listed = [str(name) for name in names]  # type: ignore[attr-defined]
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "") if listed else "none"


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Of a tensor; None for whatever else, and for parameters that a lazy module is still to make."""
    if not isinstance(value, torch.Tensor) or torch.nn.parameter.is_lazy(value):
        return None
    return tuple(value.shape)


def nestings(
    content: Mapping[Any, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Mapping[Any, Any]]]:
    """Every mapping in a file that holds a tensor, with the keys that lead to it."""
    if any(isinstance(value, torch.Tensor) for value in content.values()):
        yield path, content
    if len(path) < _DEPTH:
        for key, value in content.items():
            if isinstance(value, Mapping):
                yield from nestings(value, (*path, str(key)))


def fits(
    content: Mapping[Any, Any], expected: Mapping[str, Any], key: str | None = None, prefix: str | None = None
) -> list[Fit]:
    """Every way to read a file, the best first.

    Parameters
    ----------
    content : mapping
        The file.
    expected : mapping
        The network's own state dict.
    key, prefix : str, optional
        The only nesting, with dots, and the only prefix that are looked at.

    Raises
    ------
    InvalidRequest
        The file has no such nesting, or no weights at all.
    """
    found = list(nestings(content))
    if not found:
        raise InvalidRequest(f"it holds no state dict (a mapping of names to tensors) but {some(content)}")
    chosen = [(path, part) for path, part in found if key is None or ".".join(path) == key]
    if not chosen:
        there = some((".".join(path) or "(its top)" for path, _ in found), 8)
        raise InvalidRequest(f"it holds no weights under --weights-key {key!r}; there are some under {there}")
    every = [
        _fit(path, part, stripped, added, expected)
        for path, part in chosen
        for stripped, added in (_prefixes(part, expected) if prefix is None else [(_dotted(prefix), "")])
    ]
    return sorted(every, key=lambda fit: fit.rank)


def the_best(found: list[Fit], expected: Mapping[str, Any], *, strict: bool) -> Fit:
    """The best way to read a file; where it has to be whole and is not, it is the best for saying what is wrong.

    Raises
    ------
    InvalidRequest
        Another one fits as well, and has other values.
    """
    best = found[0]
    if strict and (missing(best, expected) or reshaped(best, expected)):
        return best
    for other in found[1:]:
        if other.rank[:2] == best.rank[:2] and best.good and not _same(best, other):
            raise InvalidRequest(
                f"two of its parts fit equally well, {_named(best)} and {_named(other)}; say which with "
                + ("--weights-key" if best.path != other.path else "--strip-prefix")
            )
    return best


def _named(fit: Fit) -> str:
    return " ".join(
        part
        for part in (
            f"{fit.key!r}" if fit.path else "its top",
            f"with the prefix {fit.stripped!r}" if fit.stripped else "",
        )
        if part
    )


def _same(one: Fit, other: Fit) -> bool:
    return one.good == other.good and all(
        torch.equal(one.state[name], other.state[name])
        for name in one.good
        if isinstance(one.state[name], torch.Tensor)
    )


def _dotted(prefix: str) -> str:
    return prefix if not prefix or prefix.endswith(".") else f"{prefix}."


def _prefixes(part: Mapping[Any, Any], expected: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(to strip, to add) such that some name fits: none, and the most frequent ones of either kind."""
    strip = Counter(prefix for name in part for prefix in _before(str(name), expected))
    add = Counter(prefix for name in expected for prefix in _before(name, part))
    return [
        ("", ""),
        *((prefix, "") for prefix, _ in strip.most_common(8)),
        *(("", prefix) for prefix, _ in add.most_common(8)),
    ]


def _before(name: str, known: Mapping[Any, Any]) -> Iterator[str]:
    """What is before an end of a name, where that end is known."""
    for place, sign in enumerate(name[:-1], start=1):
        if sign == "." and name[place:] in known:
            yield name[:place]


def _fit(path: tuple[str, ...], part: Mapping[Any, Any], stripped: str, added: str, expected: Mapping[str, Any]) -> Fit:
    state, elsewhere = {}, []
    for name, value in part.items():
        if not str(name).startswith(stripped):
            elsewhere.append(str(name))
            continue
        new = added + str(name)[len(stripped) :]
        if isinstance(value, torch.Tensor) or new in expected:
            state[new] = value
    shapes = {name: shape_of(value) for name, value in expected.items()}
    good = tuple(name for name in expected if name in state and shapes[name] in (None, shape_of(state[name])))
    unexpected = tuple(name for name in state if name not in expected)
    return Fit(path, stripped, added, state, tuple(elsewhere), good, unexpected, _metadata(part, stripped, added))


def _metadata(part: Mapping[Any, Any], stripped: str, added: str) -> dict[str, Any] | None:
    """The versions of the modules that wrote the names, which torch reads old files by."""
    versions = getattr(part, "_metadata", None)
    if versions is None:
        return None
    cut = stripped.removesuffix(".")
    kept = {name[len(stripped) :]: value for name, value in versions.items() if f"{name}.".startswith(stripped)}
    if cut in versions:
        kept[""] = versions[cut]
    return {(added + name).removesuffix("."): value for name, value in kept.items()}


def missing(fit: Fit, expected: Mapping[str, Any]) -> tuple[str, ...]:
    """The network's names that the file does not have."""
    return tuple(name for name in expected if name not in fit.state and not name.endswith(_OPTIONAL))


def reshaped(fit: Fit, expected: Mapping[str, Any]) -> tuple[str, ...]:
    """The network's names that the file has in another shape, and both shapes."""
    return tuple(
        f"{name} {shape_of(fit.state[name])} in the file, {shape_of(value)} in the network"
        for name, value in expected.items()
        if name in fit.state and name not in fit.good
    )
