"""Notes by what is written in them, and the notes that were changed last."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from indexer.errors import NotInstalled
from service.errors import NotesUnavailable
from service.notes.about.records import Note
from service.notes.store import Notes, note_of

if TYPE_CHECKING:
    from sqlalchemy import Connection, Select


def find(notes: Notes, query: str, scopes: Sequence[str], most: int) -> list[Note]:
    """The notes with all words of a query, best first; the last word may be the beginning of one.

    Parameters
    ----------
    scopes : sequence of str
        Only of these models and indexes; "" stands for images and lists.
    """
    if not notes.database.exists():
        return []
    return notes.database.read(lambda connection: _find(connection, query, scopes, most))


def find_if_possible(notes: Notes, query: str, scopes: Sequence[str], most: int) -> list[Note] | None:
    """As `find`; None where notes are off, or their database does not answer."""
    try:
        return find(notes, query, scopes, most)
    except (NotesUnavailable, NotInstalled):
        return None


def latest(
    notes: Notes, kinds: Collection[str], scopes: Collection[str] | None, limit: int, offset: int
) -> tuple[list[Note], int]:
    """A page of the notes that say anything, those changed last first, and how many there are.

    Parameters
    ----------
    kinds : collection of str
        Only about these kinds of subjects.
    scopes : collection of str, optional
        Only of these models, and indexes.
    """
    if not notes.database.exists():
        return [], 0
    return notes.database.read(lambda connection: _latest(connection, kinds, scopes, limit, offset))


def _find(connection: "Connection", query: str, scopes: Sequence[str], most: int) -> list[Note]:
    from service.notes.database import words
    from service.notes.database.tables import NOTES

    ids = [id_ for id_, _ in words.find(connection, query, scopes, most)]
    rows = {row.id: row for row in connection.execute(NOTES.select().where(NOTES.c.id.in_(ids)))}
    return [note_of(rows[id_]) for id_ in ids if id_ in rows]


def _latest(
    connection: "Connection", kinds: Collection[str], scopes: Collection[str] | None, limit: int, offset: int
) -> tuple[list[Note], int]:
    from sqlalchemy import func, select

    from service.notes.database.tables import NOTES

    def narrowed(asked: "Select[Any]") -> "Select[Any]":
        asked = asked.where(NOTES.c.kind.in_(kinds), NOTES.c.empty.is_(False))
        return asked if scopes is None else asked.where(NOTES.c.scope.in_(scopes))

    total = connection.execute(narrowed(select(func.count()).select_from(NOTES))).scalar_one()
    rows = connection.execute(narrowed(select(NOTES)).order_by(NOTES.c.change.desc()).limit(limit).offset(offset))
    return [note_of(row) for row in rows], total
