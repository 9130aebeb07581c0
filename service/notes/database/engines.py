"""Engines of SQLAlchemy: for each database one that reads without transactions, and one whose transactions lock."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, QueuePool, create_engine, event, text

Engines = tuple[Engine, Engine]
_KEPT: Final = 4
_MORE: Final = 256
"""Connections that are kept, and that there may be beside them; every thread of a process may want one."""
_AGAIN_SECONDS: Final = 0.02
_LOCK: Final = 5_704_113_229_406_821
"""Names the lock of PostgreSQL under which all changes are made, so that two programs do not migrate at once."""


def write_ahead(file: Path, busy_seconds: float) -> None:
    """Let a file have a log that is written ahead, so that readers and a writer do not wait for each other.

    It stays so. SQLite does not wait for others that do the same at this moment; this function does.

    Raises
    ------
    sqlite3.OperationalError
    """
    end = time.monotonic() + busy_seconds
    with closing(sqlite3.connect(file, timeout=busy_seconds)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL").close()
                return
            except sqlite3.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(_AGAIN_SECONDS)


def sqlite_engines(file: Path, busy_seconds: float) -> Engines:
    """Engines of a file, which is made where there is none."""
    options: dict[str, Any] = {"poolclass": QueuePool, "pool_size": _KEPT, "max_overflow": _MORE}
    url = f"sqlite:///{str(file).replace('?', '%3F')}"
    arguments = {"timeout": busy_seconds, "check_same_thread": False}
    reading = create_engine(
        url, connect_args=arguments, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options
    )
    writing = create_engine(url, connect_args=arguments, **options)
    for engine in (reading, writing):
        event.listen(engine, "connect", _prepare_sqlite)
    event.listen(writing, "begin", _begin_immediate)
    return reading, writing


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # Python's module would begin and end transactions by itself
    for statement in ("synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {statement}").close()


def _begin_immediate(connection: Connection) -> None:
    """Take the lock at once: a transaction that reads first may find that another has written meanwhile, and fail."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def postgres_engines(url: str, connect_seconds: int) -> Engines:
    """Engines of a PostgreSQL server."""
    options: dict[str, Any] = {
        "connect_args": {"connect_timeout": connect_seconds, "application_name": "unitscope"},
        "pool_size": _KEPT,
        "max_overflow": _MORE,
    }
    reading = create_engine(url, isolation_level="AUTOCOMMIT", pool_reset_on_return=None, **options)
    writing = create_engine(url, pool_pre_ping=True, isolation_level="READ COMMITTED", **options)
    event.listen(writing, "begin", _lock_postgres)
    return reading, writing


def _lock_postgres(connection: Connection) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
