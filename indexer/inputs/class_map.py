"""Which category each class stands for, from a file."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from indexer.errors import InvalidRequest
from indexer.images.table import READERS, open_table

CLASS, CATEGORY = "class", "category"
_SHOWN = 10


def read_class_map(path: Path) -> dict[str, str]:
    """For each class the category that it stands for: its name, or the number of its output.

    Parameters
    ----------
    path : Path
        A list (CSV, TSV, JSON lines, Parquet) with the columns ``class`` and ``category``, or JSON: an object of
        categories by class.

    Raises
    ------
    InvalidRequest
        The file cannot be read, lacks a column or a value, or names a class twice.
    """
    try:
        pairs = _pairs_of_json(path) if path.suffix.lower() == ".json" else _pairs_of_list(path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error}") from error
    if not pairs:
        raise InvalidRequest(f"{path} names no class; it needs a {CLASS!r} and a {CATEGORY!r} in each row")
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise InvalidRequest(f"{path} names the class {name!r} {times} times; name each once")
    return dict(pairs)


def _pairs_of_json(path: Path) -> list[tuple[str, str]]:
    try:
        found = json.loads(path.read_bytes(), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is not JSON ({error})") from error
    if not isinstance(found, list) or not all(isinstance(pair, tuple) for pair in found):
        raise InvalidRequest(f'{path} must be one object, {{"class": "category", …}}')
    return [(_text(path, name), _text(path, category)) for name, category in found]


def _pairs_of_list(path: Path) -> list[tuple[str, str]]:
    if path.suffix.lower() not in READERS:
        raise InvalidRequest(f"{path}: a class map ends in {', '.join((*READERS, '.json'))}")
    table = open_table(path)
    for column in (CLASS, CATEGORY):
        if column not in table.columns:
            raise InvalidRequest(f"{path} has no column {column!r}; it has {', '.join(map(repr, table.columns))}")
    return [
        (_text(f"{path}, line {line}", row.get(CLASS)), _text(f"{path}, line {line}", row.get(CATEGORY)))
        for line, row in table.rows()
    ]


def _text(place: object, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or not str(value).strip():
        raise InvalidRequest(f"{place}: {str(value)[:40]!r} must be a name, or the number of an output")
    return str(value).strip()


def output_told(category: str, categories: Sequence[str], channels: int) -> int | None:
    """The output that a person means by a category's name or an output's number; None if it is none, or not one."""
    if list(categories).count(category) == 1:
        return list(categories).index(category)
    if category in categories or not (category.isascii() and category.isdigit()):
        return None
    return int(category) if int(category) < channels else None


def check_class_map(told: Mapping[str, str], categories: Sequence[str], channels: int) -> None:
    """Refuse a map that names no output, or one output for two classes.

    Raises
    ------
    InvalidRequest
    """
    owner: dict[int, str] = {}
    for name, category in told.items():
        output = output_told(category, categories, channels)
        if output is None:
            raise InvalidRequest(
                f"the class map says that {name!r} stands for {category!r}, {_fault(category, categories, channels)}"
            )
        if output in owner:
            raise InvalidRequest(
                f"the class map gives output {output} ({category}) to both {owner[output]!r} and {name!r}; one class "
                "stands for an output"
            )
        owner[output] = name


def _fault(category: str, categories: Sequence[str], channels: int) -> str:
    times = list(categories).count(category)
    if times:
        return f"which is the name of {times} categories; give the number of the one"
    return f"which is neither a category nor the number of an output (0 to {channels - 1})"


def say_unknown(told: Mapping[str, str], classes: Collection[str], say: Callable[[str], None]) -> None:
    """Say which classes of a map no image has."""
    unknown = sorted(told.keys() - set(classes))
    if unknown:
        shown = ", ".join(unknown[:_SHOWN]) + (", …" if len(unknown) > _SHOWN else "")
        say(f"the class map names {len(unknown)} classes that no image has: {shown}")
