"""Notes as JSON lines, to keep them elsewhere or to bring them to another service.

Each line is an object: ``subject``, the present ``state``, ``data``, and ``history``, oldest change first, each with
``what``, ``author``, ``time`` and the state ``after`` it.
"""

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from indexer.errors import InvalidRequest
from service.notes.about.records import State, nothing
from service.notes.about.subjects import LIST, Subject
from service.notes.store import IMPORT, Notes, note_of, put, read_history, read_note

if TYPE_CHECKING:
    from sqlalchemy import Connection

LONGEST_NAME: Final = 200
LONGEST_TEXT: Final = 20_000
LONGEST_TAG: Final = 64
MOST_TAGS: Final = 32
MOST_ITEMS: Final = 1000
_FIELDS: Final = {"subject", "state", "data", "history"}


def export(notes: Notes) -> Iterator[str]:
    """A line for each subject that anybody ever wrote about, as all were at one moment."""
    if not notes.database.exists():
        return
    with notes.database.write() as connection:  # nothing changes meanwhile
        lines = list(_lines(connection))
    yield from lines


def _lines(connection: "Connection") -> Iterator[str]:
    from service.notes.database.tables import NOTES

    for row in connection.execute(NOTES.select().order_by(NOTES.c.id)).all():
        note = note_of(row)
        history = [
            {"what": change.what, "author": change.author, "time": change.time, "after": change.after}
            for change in reversed(read_history(connection, note))
        ]
        line = {"subject": note.subject.as_dict(), "state": note.state, "data": note.data, "history": history}
        yield json.dumps(line, ensure_ascii=False)


def import_(notes: Notes, lines: Iterable[str], author: str | None = None) -> tuple[int, int, int]:
    """Bring lines in, all of them or none.

    A subject that is new here comes with its whole history. One that is known gets the line's state by a change of its
    own, so that undoing it leads back; where it has this state already, nothing happens.

    Returns
    -------
    tuple of int
        How many subjects were new, changed, and the same.

    Raises
    ------
    InvalidRequest
        A line is malformed; the message has its number.
    """
    read = [_parsed(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    counts = [0, 0, 0]
    with notes.database.write() as connection:
        for subject, line in read:
            counts[_bring(connection, subject, line, author)] += 1
    return counts[0], counts[1], counts[2]


def _bring(connection: "Connection", subject: Subject, line: State, author: str | None) -> int:
    note = read_note(connection, subject)
    if note.revision == 0:
        for change in line["history"]:
            note = put(
                connection, note, change["after"], change["what"], change["author"], change["time"], line["data"]
            )
        if note.state != line["state"]:
            put(connection, note, line["state"], IMPORT, author, time.time(), line["data"])
        return 0
    if note.state == line["state"]:
        return 2
    put(connection, note, line["state"], IMPORT, author, time.time(), line["data"])
    return 1


def _parsed(number: int, line: str) -> tuple[Subject, State]:
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict) or set(fields) != _FIELDS:
            raise InvalidRequest(f"it must be an object of {', '.join(sorted(_FIELDS))}")
        subject = Subject.from_dict(fields["subject"])
        check_state(subject.kind, fields["state"])
        _check_data(fields["data"])
        for change in fields["history"]:
            _check_change(subject.kind, change)
        return subject, fields
    except (ValueError, TypeError, KeyError, AttributeError, InvalidRequest, RecursionError) as error:
        raise InvalidRequest(f"line {number} is no note: {str(error)[:300]}") from None


def _check_data(data: Any) -> None:
    weights = None if data is None else data["weights"]
    if weights is not None and not all(neuron.isdecimal() and float(weight) for neuron, weight in weights.items()):
        raise InvalidRequest("data is null or the weights of a direction, by number of a neuron")


def _check_change(kind: str, change: State) -> None:
    if not isinstance(change["what"], str) or not isinstance(change["time"], (int, float)):
        raise InvalidRequest("a change has what, author, time and after")
    if not (change["author"] is None or _is_text(change["author"], LONGEST_NAME)):
        raise InvalidRequest("an author is a text or null")
    check_state(kind, change["after"])


def check_state(kind: str, state: Any) -> None:
    """Refuse what is not the state of a note.

    Raises
    ------
    InvalidRequest
    """
    if not isinstance(state, dict) or state.keys() != nothing(kind).keys():
        raise InvalidRequest(f"a state has {', '.join(nothing(kind))}")
    if state["name"] is not None and not _is_text(state["name"], LONGEST_NAME):
        raise InvalidRequest(f"a name is null or at most {LONGEST_NAME} characters")
    if not _is_text(state["text"], LONGEST_TEXT):
        raise InvalidRequest(f"a text has at most {LONGEST_TEXT} characters")
    if kind == LIST:
        if not isinstance(state["items"], list) or len(state["items"]) > MOST_ITEMS:
            raise InvalidRequest(f"a list has at most {MOST_ITEMS} items")
        for item in state["items"]:
            Subject.from_dict(item["subject"])
            if not _is_text(item["remark"], LONGEST_NAME) or not _is_text(item["index"], LONGEST_NAME):
                raise InvalidRequest("an item has subject, index and remark")
        return
    tags = state["tags"]
    if not isinstance(tags, list) or len(tags) > MOST_TAGS or not all(_is_text(tag, LONGEST_TAG) for tag in tags):
        raise InvalidRequest(f"there are at most {MOST_TAGS} tags of {LONGEST_TAG} characters")
    votes = state["votes"]
    if not all(_is_text(name, LONGEST_NAME) and vote in (1, -1) for name, vote in votes.items()):
        raise InvalidRequest("votes are 1 or -1 by name")


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and len(value) <= longest and "\0" not in value
