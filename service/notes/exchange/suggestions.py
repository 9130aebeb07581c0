"""Names that ``describe`` has proposed, brought into the database, and names that a person has refused.

1. ``suggest(notes, lines)`` brings in the file that ``describe --out`` has written.
2. ``suggested(notes, "WEIGHTS")`` lists what is proposed and not refused, by layer.
3. ``refuse(notes, subject, "wheel")`` keeps a name from being proposed to that neuron again, whoever proposes it.

To accept a name is an ordinary change of the note; none is made here.
"""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from indexer.errors import InvalidRequest
from service.notes.about.subjects import Subject
from service.notes.exchange.lines import LONGEST_NAME
from service.notes.store import Notes

if TYPE_CHECKING:
    from sqlalchemy import Connection

Refused = frozenset[tuple[str, int, str]]
"""Layer, as `service.notes.about.subjects.layer_key` gives it, neuron and name."""
_SHA256: Final = re.compile("[0-9a-f]{64}")
_KINDS: Final = ("encoder", "class", "category")
_LARGEST: Final = 2**31 - 1
_ABOUT: Final = {"weights_sha256", "layer", "dictionary_sha256", "neuron", "rank", "name", "by"}
_NUMBERS: Final = ("score", "auc", "auc_at_least")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A name that a machine proposes: for a neuron of a layer, as `layer_key` calls it.

    ``by`` has ``kind``, ``encoder`` (its name or None), ``score``, ``auc`` and ``auc_at_least``, as
    `indexer.describe.describing.Description` has them.
    """

    layer: str
    neuron: int
    name: str
    rank: int
    by: dict[str, Any]


def suggest(notes: Notes, lines: Iterable[str]) -> tuple[int, int]:
    """Bring in what ``describe --out`` has written, all lines or none.

    What a machine proposed to these neurons before is replaced. A refused name stays refused.

    Returns
    -------
    (int, int)
        How many names there are, and how many of them a person has refused.

    Raises
    ------
    InvalidRequest
        A line is malformed; the message has its number.
    NotesUnavailable
    """
    read = [_parsed(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    with notes.database.write() as connection:
        for scope, layer, neuron in dict.fromkeys((scope, one.layer, one.neuron) for scope, one in read):
            _forget(connection, scope, layer, neuron)
        refused = sum(_keep(connection, scope, one) for scope, one in read)
    return len(read), refused


def suggested(notes: Notes, scope: str) -> tuple[list[Suggestion], Refused]:
    """What machines propose for a model, by layer, neuron and rank, and what is refused, whoever proposed it."""
    if not notes.database.exists():
        return [], frozenset()
    from service.notes.database.tables import SUGGESTIONS

    columns = SUGGESTIONS.c
    asked = SUGGESTIONS.select().where(columns.scope == scope).order_by(columns.layer, columns.neuron, columns.rank)
    rows = notes.database.read(lambda connection: connection.execute(asked).all())
    refused = frozenset((row.layer, row.neuron, row.name) for row in rows if row.refused)
    kept = [Suggestion(row.layer, row.neuron, row.name, row.rank, row.by) for row in rows if row.by and not row.refused]
    return kept, refused


def refuse(notes: Notes, subject: Subject, name: str, author: str | None, refused: bool = True) -> None:
    """Let a name not be proposed to a neuron again, or let it."""
    from service.notes.database.tables import SUGGESTIONS

    key = {"scope": subject.scope, "layer": subject.layer, "neuron": subject.neuron, "name": name}
    values = {"refused": refused, "author": author, "time": time.time()}
    with notes.database.write() as connection:
        if connection.execute(SUGGESTIONS.select().filter_by(**key)).one_or_none() is not None:
            connection.execute(SUGGESTIONS.update().filter_by(**key).values(values))
        elif refused:
            connection.execute(SUGGESTIONS.insert().values(key | values | {"rank": 0, "by": None}))


def _forget(connection: "Connection", scope: str, layer: str, neuron: int) -> None:
    from service.notes.database.tables import SUGGESTIONS

    of_neuron = {"scope": scope, "layer": layer, "neuron": neuron}
    connection.execute(SUGGESTIONS.delete().filter_by(refused=False, **of_neuron))
    connection.execute(SUGGESTIONS.update().filter_by(**of_neuron).values(by=None))


def _keep(connection: "Connection", scope: str, one: Suggestion) -> bool:
    """Enter a name; whether it was refused before."""
    from service.notes.database.tables import SUGGESTIONS

    key = {"scope": scope, "layer": one.layer, "neuron": one.neuron, "name": one.name}
    if connection.execute(SUGGESTIONS.select().filter_by(**key)).one_or_none() is not None:
        connection.execute(SUGGESTIONS.update().filter_by(**key).values(by=one.by, rank=one.rank))
        return True
    values = {"rank": one.rank, "by": one.by, "refused": False, "author": None, "time": time.time()}
    connection.execute(SUGGESTIONS.insert().values(key | values))
    return False


def _parsed(number: int, line: str) -> tuple[str, Suggestion]:
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict) or not fields.keys() >= _ABOUT:
            raise InvalidRequest(f"it must be an object with {', '.join(sorted(_ABOUT))}")
        return _checked(fields)
    except (ValueError, TypeError, RecursionError, InvalidRequest) as error:
        raise InvalidRequest(f"line {number} is no proposal: {str(error)[:300]}") from None


def _checked(fields: dict[str, Any]) -> tuple[str, Suggestion]:
    weights, layer, dictionary = fields["weights_sha256"], fields["layer"], fields["dictionary_sha256"]
    if not _is_text(weights, 200) or not _is_text(layer, 512) or (dictionary and not _SHA256.fullmatch(dictionary)):
        raise InvalidRequest("weights_sha256, layer and dictionary_sha256 name no layer")
    if not all(type(fields[name]) is int and 0 <= fields[name] <= _LARGEST for name in ("neuron", "rank")):
        raise InvalidRequest("neuron and rank are whole numbers")
    name = fields["name"]
    if not _is_text(name, LONGEST_NAME) or " ".join(name.split()) != name:
        raise InvalidRequest(f"a name has 1 to {LONGEST_NAME} characters on one line")
    if fields["by"] not in _KINDS:
        raise InvalidRequest(f"by is one of {', '.join(_KINDS)}")
    encoder = fields.get("encoder")
    if encoder is not None and not _is_text(encoder, LONGEST_NAME):
        raise InvalidRequest(f"encoder is null or a text of at most {LONGEST_NAME} characters")
    numbers = {key: fields.get(key) for key in _NUMBERS}
    if not all(value is None or (type(value) in (int, float) and abs(value) < 1e12) for value in numbers.values()):
        raise InvalidRequest(f"{', '.join(_NUMBERS)} are numbers or null")
    by = {"kind": fields["by"], "encoder": encoder, **numbers}
    key = f"{layer}@{dictionary}" if dictionary else layer
    return weights, Suggestion(key, fields["neuron"], name, fields["rank"], by)


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and "\0" not in value and value.isprintable()
