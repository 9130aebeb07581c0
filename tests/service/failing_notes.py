"""A database of notes that fails, as a real one does."""

import contextlib
import socket
from collections.abc import Iterator

import sqlalchemy

from service.notes.database.database import Database


@contextlib.contextmanager
def failing_names(database: Database) -> Iterator[None]:
    """The counter of names answers, and reading the names fails."""
    _rename(database, "notes", "away")
    try:
        yield
    finally:
        _rename(database, "away", "notes")


def _rename(database: Database, table: str, name: str) -> None:
    with database.write() as connection:
        connection.execute(sqlalchemy.text(f"ALTER TABLE {table} RENAME TO {name}"))


@contextlib.contextmanager
def silent_server() -> Iterator[socket.socket]:
    """A server of PostgreSQL that takes connections and never says anything; none of them is accepted yet."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        listening.setblocking(False)
        yield listening


def connections(listening: socket.socket) -> int:
    """How many connections have come since the last call."""
    count = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            listening.accept()[0].close()
            count += 1
    return count
