"""Notes in a database: read, changed, gone back to."""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from indexer.errors import NotFound
from service.errors import NotesUnavailable, RevisionReplaced
from service.notes.about.records import Change, Note, State, nothing
from service.notes.about.subjects import NUMBERED, Subject
from service.notes.database.database import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

EDIT: Final = "edit"
VOTE: Final = "vote"
RESTORE: Final = "restore"
IMPORT: Final = "import"
Names = Mapping[str, Mapping[int, str]]
"""Names by layer, as `service.notes.about.subjects.layer_key` gives it, and neuron."""
_NAMED: Final = "SELECT named FROM counters"
OFF: Final = "notes are off here: --notes names a folder for them, or the URL of a database"


@dataclass(frozen=True, slots=True)
class Known:
    """The names that one answer may carry.

    Attributes
    ----------
    named : int
        The number of the last change of a name: with it, these names are the same. 0 where there are none, and where
        none can be told now, so that no answer without names passes for one with them.
    of_models : dict
        The names of each model.
    """

    named: int
    of_models: Mapping[str, Names]


class Notes:
    """All notes of a service.

    Parameters
    ----------
    database : Database or None
        None where notes are off: then there are no names, and everything else raises `NotesUnavailable`.
    """

    def __init__(self, database: Database | None) -> None:
        self._database = database
        self._names: tuple[int, dict[str, Names]] = (0, {})

    @property
    def database(self) -> Database:
        """The database.

        Raises
        ------
        NotesUnavailable
            Notes are off.
        """
        if self._database is None:
            raise NotesUnavailable(OFF)
        return self._database

    def named(self) -> int:
        """The number of the last change of a name that stands beside a neuron's number; 0 where there is none."""
        return 0 if self._database is None else self._database.glance(lambda: int(self.database.peek(_NAMED)), 0)

    def known(self, models: Collection[str]) -> Known:
        """The names of models that one answer may carry: all of them, or none where the database does not answer."""
        named = self.named()
        found = {model: names for model in models if (names := self.names(model, named)) is not None}
        return Known(named, found) if all(model in found for model in models) else Known(0, {})

    def names(self, model: str, named: int) -> Names | None:
        """The names of a model's neurons and atoms; ``named`` is what `named` gave for this question.

        None where they cannot be told now. That is not kept: the next question looks again.
        """
        if self._database is None or not named:
            return {}
        revision, kept = self._names
        if revision != named:
            kept = {}
            self._names = (named, kept)
        if model not in kept:
            found = self._database.glance(
                lambda: self.database.read(lambda connection: _names(connection, model)), None
            )
            if found is None:
                return None
            kept[model] = found
        return kept[model]

    def get(self, subject: Subject) -> Note:
        """The note about a subject."""
        if not self.database.exists():
            return Note(subject, nothing(subject.kind))
        return self.database.read(lambda connection: read_note(connection, subject))

    def change(
        self,
        subject: Subject,
        expected: int | None,
        author: str | None,
        what: str,
        edit: Callable[[Note], State],
        data: State | None = None,
    ) -> Note:
        """Change a note in one transaction; where nothing changes, no revision is made.

        Parameters
        ----------
        expected : int or None
            The revision that the author has seen; None changes whatever is there.
        edit : callable (Note) -> dict
            Gives the state after.

        Raises
        ------
        RevisionReplaced
            The note has another revision.
        NotesUnavailable
        """
        with self.database.write() as connection:
            before = read_note(connection, subject)
            if expected is not None and expected != before.revision:
                raise RevisionReplaced(
                    f"this is at revision {before.revision} now, not {expected}: somebody has changed it meanwhile"
                )
            after = edit(before)
            if after == before.state and (data is None or before.data is not None):
                return before
            return put(connection, before, after, what, author, time.time(), data)

    def write(self, subject: Subject, expected: int | None, author: str | None, **fields: Any) -> Note:
        """Replace fields of a note: ``name``, ``text``, ``tags``. Raises as `change` does.

        Votes are for a name: another one begins without any.
        """

        def edit(note: Note) -> State:
            after = note.state | fields
            if "votes" in after and after["name"] != note.state["name"]:
                after["votes"] = {}
            return after

        return self.change(subject, expected, author, EDIT, edit)

    def vote(self, subject: Subject, expected: int | None, author: str | None, vote: int) -> Note:
        """Agree with a note (1), disagree (-1), or neither (0). Raises as `change` does.

        Raises
        ------
        NotFound
            There is nothing to agree with.
        """

        def edit(note: Note) -> State:
            if note.is_empty and vote:
                raise NotFound("there is no name or note to vote on")
            others = {name: value for name, value in note.state["votes"].items() if name != (author or "")}
            return note.state | {"votes": others | ({author or "": vote} if vote else {})}

        return self.change(subject, expected, author, VOTE, edit)

    def restore(self, subject: Subject, expected: int | None, author: str | None, revision: int) -> Note:
        """Make the state of an earlier revision the present one, by a change of its own. Raises as `change` does.

        Raises
        ------
        NotFound
            There was no such revision.
        """
        states = {change.revision: change.after for change in self.history(subject)}
        states[0] = nothing(subject.kind)
        if revision not in states:
            raise NotFound(f"there is no revision {revision} of this; it has {len(states) - 1}")
        return self.change(subject, expected, author, RESTORE, lambda note: states[revision])

    def history(self, subject: Subject) -> list[Change]:
        """Every change of a note, newest first."""
        if not self.database.exists():
            return []
        return self.database.read(lambda connection: read_history(connection, read_note(connection, subject)))

    def close(self) -> None:
        """Let go of the database."""
        if self._database is not None:
            self._database.close()


def put(
    connection: "Connection",
    before: Note,
    after: State,
    what: str,
    author: str | None,
    when: float,
    data: State | None = None,
) -> Note:
    """Write a change, with its row of history, in the connection's transaction."""
    from service.notes.database import words
    from service.notes.database.tables import CHANGES, COUNTERS, NOTES

    renamed = before.subject.kind in NUMBERED and before.state["name"] != after["name"]
    counted = COUNTERS.update().values(revision=COUNTERS.c.revision + 1).returning(COUNTERS.c.revision)
    number = connection.execute(counted).scalar_one()
    if renamed:
        connection.execute(COUNTERS.update().values(named=number))
    revision = before.revision + 1
    columns = {
        "name": after["name"], "state": after, "empty": after == nothing(before.subject.kind), "revision": revision,
        "author": author, "time": when, "change": number,
    }  # fmt: skip
    if before.id is None:
        values = _key(before.subject) | columns | {"data": data}
        id_ = connection.execute(NOTES.insert().values(values).returning(NOTES.c.id)).scalar_one()
    else:
        id_ = before.id
        connection.execute(NOTES.update().where(NOTES.c.id == id_).values(columns))
    connection.execute(CHANGES.insert().values(
        id=number, note=id_, revision=revision, what=what, author=author, time=when, before=before.state
    ))  # fmt: skip
    words.put(connection, id_, after)
    return Note(before.subject, after, revision, author, when, before.data or data, id_)


def note_of(row: "Row[Any]") -> Note:
    """A row of the table of notes."""
    subject = Subject(row.kind, row.scope, row.layer, row.neuron, row.y, row.x, row.item)
    return Note(subject, row.state, row.revision, row.author, row.time, row.data, row.id)


def _key(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in Subject.__slots__}


def read_note(connection: "Connection", subject: Subject) -> Note:
    from service.notes.database.tables import NOTES

    row = connection.execute(NOTES.select().filter_by(**_key(subject))).one_or_none()
    return Note(subject, nothing(subject.kind)) if row is None else note_of(row)


def read_history(connection: "Connection", note: Note) -> list[Change]:
    from service.notes.database.tables import CHANGES

    # Up to the state that was read: others may have made more since.
    asked = CHANGES.select().where(CHANGES.c.note == note.id, CHANGES.c.revision <= note.revision)
    rows = connection.execute(asked.order_by(CHANGES.c.revision.desc())).all()
    afters = [note.state, *(row.before for row in rows)]
    return [
        Change(row.revision, row.what, row.author, row.time, row.before, after)
        for row, after in zip(rows, afters, strict=False)
    ]


def _names(connection: "Connection", model: str) -> dict[str, dict[int, str]]:
    from sqlalchemy import select

    from service.notes.database.tables import NOTES

    asked = select(NOTES.c.layer, NOTES.c.neuron, NOTES.c.name).where(
        NOTES.c.kind.in_(NUMBERED), NOTES.c.scope == model, NOTES.c.name.is_not(None)
    )
    found: dict[str, dict[int, str]] = {}
    for layer, neuron, name in connection.execute(asked):
        found.setdefault(layer, {})[neuron] = name
    return found
