"""Full-text search over names, tags and texts: SQLite's FTS5, or PostgreSQL's text search.

Both split texts at what is no letter or digit and ignore case. SQLite ignores accents too. A query finds the notes that
have every one of its words; the last may be the beginning of a word. A name counts most, then a tag, then a text.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

Row = tuple[int, float]
State = dict[str, Any]

_MAKE: Final = {
    "sqlite": (
        "CREATE VIRTUAL TABLE words USING fts5(name, tags, text, "
        "tokenize='unicode61 remove_diacritics 2', prefix='2 3')",
    ),
    "postgresql": (
        "CREATE TABLE words (rowid integer PRIMARY KEY REFERENCES notes (id), vector tsvector NOT NULL)",
        "CREATE INDEX words_by_vector ON words USING gin (vector)",
    ),
}
_PUT: Final = {
    "sqlite": "INSERT INTO words (rowid, name, tags, text) VALUES (:id, :name, :tags, :text)",
    "postgresql": (
        "INSERT INTO words (rowid, vector) VALUES (:id, setweight(to_tsvector('simple', :name), 'A') || "
        "setweight(to_tsvector('simple', :tags), 'B') || setweight(to_tsvector('simple', :text), 'D'))"
    ),
}
_FIND: Final = {
    "sqlite": (
        # The plus keeps SQLite from asking for the words once for each row of the subquery.
        "SELECT rowid, -bm25(words, 10.0, 5.0, 1.0) AS score FROM words WHERE words MATCH :query "
        "AND +rowid IN (SELECT id FROM notes WHERE scope IN :scopes) ORDER BY score DESC, rowid LIMIT :most"
    ),
    "postgresql": (
        "SELECT rowid, ts_rank(vector, query) AS score FROM words, to_tsquery('simple', :query) AS query "
        "WHERE vector @@ query AND rowid IN (SELECT id FROM notes WHERE scope IN :scopes) "
        "ORDER BY score DESC, rowid LIMIT :most"
    ),
}
_LONGEST: Final = 200_000
"""Characters of one note that are entered; a tsvector holds a megabyte."""


def make_table(connection: Connection) -> None:
    """Make the table of words."""
    for statement in _MAKE[connection.dialect.name]:
        connection.execute(text(statement))


def fill(connection: Connection) -> None:
    """Enter all notes that are there."""
    from service.notes.database.tables import NOTES

    for row in connection.execute(NOTES.select()).all():
        put(connection, row.id, row.state)


def put(connection: Connection, id_: int, state: State) -> None:
    """Enter a note, in place of what was entered of it before."""
    connection.execute(text("DELETE FROM words WHERE rowid = :id"), {"id": id_})
    connection.execute(text(_PUT[connection.dialect.name]), {"id": id_, **_columns(state)})


def find(connection: Connection, query: str, scopes: Sequence[str], most: int) -> list[Row]:
    """The ids of the notes of these scopes that have all words of a query, with a score each, best first."""
    words = re.findall(r"\w+", query)
    if not words:
        return []
    spelled = _SPELL[connection.dialect.name](words)
    asked = text(_FIND[connection.dialect.name]).bindparams(bindparam("scopes", expanding=True))
    rows = connection.execute(asked, {"query": spelled, "scopes": list(scopes), "most": most})
    return [(row.rowid, float(row.score)) for row in rows]


def _columns(state: State) -> dict[str, str]:
    texts = [str(state.get("text", "")), *(item.get("remark", "") for item in state.get("items", ()))]
    return {
        "name": state.get("name") or "",
        "tags": " ".join(state.get("tags", ())),
        "text": "\n".join(texts)[:_LONGEST],
    }


def _fts5(words: list[str]) -> str:
    return " ".join(f'"{word}"' for word in words) + "*"


def _tsquery(words: list[str]) -> str:
    return " & ".join(f"'{word}'" for word in words) + ":*"


_SPELL: Final = {"sqlite": _fts5, "postgresql": _tsquery}
