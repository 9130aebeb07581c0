"""The database of the notes: a file of SQLite in a folder, or PostgreSQL by its URL.

What is acknowledged is on the disk: SQLite writes ahead to a log that it flushes at each change (``synchronous=FULL``);
PostgreSQL does so by default. Both start a write by taking a lock, so writers wait for each other and none is refused
half-way.
"""

import logging
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from indexer.errors import NotInstalled
from service.errors import NotesUnavailable
from service.notes.database.place import FILE

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

T = TypeVar("T")
BUSY_SECONDS: Final = 20.0
"""How long a writer waits for the others."""
_CONNECT_SECONDS: Final = 3
_PAUSE_SECONDS: Final = 5.0
"""After a failed look for names, so long none is tried: questions must not wait for a database that is down."""
_POSTGRES: Final = re.compile(r"postgres(ql)?(\+psycopg)?://")

log = logging.getLogger(__name__)


class Database:
    """A database, opened at the first use and brought to the present schema then.

    Parameters
    ----------
    location : str
        A folder, or ``postgresql://USER:PASSWORD@HOST/NAME``.
    """

    def __init__(self, location: str) -> None:
        self._url = _POSTGRES.sub("postgresql+psycopg://", location) if _POSTGRES.match(location) else None
        self._file = None if self._url else Path(location) / FILE
        self.shown = _without_password(location)
        self._lock = threading.Lock()
        self._engines: tuple[Engine, Engine] | None = None
        self._inode: tuple[int, int] | None = None
        self._failed: tuple[float, Exception] | None = None
        self._silent_until = 0.0

    def exists(self) -> bool:
        """Whether anything can have been written yet; a file is made by the first write."""
        return self._file is None or self._file.is_file()

    def glance(self, ask: Callable[[], T], otherwise: T) -> T:
        """What a question about names is told, or this where there is no database, or none that answers now."""
        if not self.exists() or time.monotonic() < self._silent_until:
            return otherwise
        try:
            return ask()
        except (NotesUnavailable, NotInstalled) as error:
            log.warning("answers carry no names for now: %s", error)
            self._silent_until = time.monotonic() + _PAUSE_SECONDS
            return otherwise

    def peek(self, statement: str) -> Any:
        """The first value of what a statement gives: for what every question asks, at a tenth of the cost of `read`.

        Raises
        ------
        NotesUnavailable, NotInstalled
        """
        with self._told():
            engine = self._opened()[0]
            try:
                return _first(engine, statement)
            except self._driver_errors():  # SQLAlchemy is not asked
                engine.dispose()  # the server may have been started anew since the last question
                return _first(engine, statement)

    def read(self, ask: Callable[["Connection"], T]) -> T:
        """Ask without a lock.

        Raises
        ------
        NotesUnavailable, NotInstalled
        """
        from sqlalchemy.exc import DBAPIError

        with self._told():
            try:
                return self._ask(ask)
            except DBAPIError as error:
                if not error.connection_invalidated:
                    raise
                return self._ask(ask)  # the server was started anew since the last question

    def _ask(self, ask: Callable[["Connection"], T]) -> T:
        with self._opened()[0].connect() as connection:
            return ask(connection)

    @contextmanager
    def write(self) -> Iterator["Connection"]:
        """A transaction that no other writes beside; it is kept when the block ends, and undone where that fails.

        Raises
        ------
        NotesUnavailable, NotInstalled
        """
        with self._told(), self._opened()[1].begin() as connection:
            yield connection

    def close(self) -> None:
        """Let go of all connections."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        for engine in self._engines or ():
            engine.dispose()
        self._engines = None

    def _opened(self) -> tuple["Engine", "Engine"]:
        """The engines for reading and for writing.

        A server that does not answer takes seconds to say so. Those who waited while one thread tried get its failure:
        trying one after the other, the last of them would wait for all.
        """
        came = time.monotonic()
        with self._lock:
            if self._engines is None or self._inode != self._current_inode():
                if self._failed is not None and self._failed[0] > came:
                    raise self._failed[1]
                self._let_go()
                self._engines = self._try_to_open()
                self._inode = self._current_inode()
            return self._engines

    def _try_to_open(self) -> tuple["Engine", "Engine"]:
        try:
            engines = self._open()
        except Exception as error:
            self._failed = time.monotonic(), error
            raise
        self._failed = None
        return engines

    def _current_inode(self) -> tuple[int, int] | None:
        """Names the file: one that was moved away still takes what is written to it, where nobody will find it."""
        if self._file is None:
            return None
        try:
            status = self._file.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino

    def _open(self) -> tuple["Engine", "Engine"]:
        from service.notes.database.engines import postgres_engines, sqlite_engines, write_ahead
        from service.notes.database.migrate import migrate

        if self._file is not None:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_ahead(self._file, BUSY_SECONDS)
        engines = (
            sqlite_engines(self._file, BUSY_SECONDS)
            if self._file
            else postgres_engines(self._url or "", _CONNECT_SECONDS)
        )
        try:
            with engines[1].begin() as connection:
                migrate(connection)
        except BaseException:
            for engine in engines:
                engine.dispose()
            raise
        return engines

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Errors of the database in words that name the setting."""
        try:
            from sqlalchemy.exc import SQLAlchemyError
        except ImportError as error:
            raise NotInstalled("notes need packages that are not installed: install unitscope[notes]") from error
        failures: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, ImportError, *self._driver_errors())
        try:
            yield
        except failures as error:
            log.warning("the database of notes failed: %s", (str(error).splitlines() or [type(error).__name__])[0])
            raise NotesUnavailable(self._cannot(error)) from error

    def _driver_errors(self) -> tuple[type[Exception], ...]:
        if self._file is not None:
            return (sqlite3.Error,)
        try:
            import psycopg
        except ImportError:
            return ()
        return (psycopg.Error,)

    def _cannot(self, error: Exception) -> str:
        return (
            f"the notes in {self.shown} cannot be used now ({_reason(error)}); --notes names a folder that can be "
            "written to, or the URL of a database"
        )


def _first(engine: "Engine", statement: str) -> Any:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(statement)
        row = cursor.fetchone()
        assert row is not None
        return row[0]
    except BaseException:
        connection.invalidate()
        raise
    finally:
        connection.close()


def _reason(error: Any) -> str:
    cause = getattr(error, "orig", None) or error
    text = str(cause).strip().splitlines()
    return text[0][:200] if text else type(cause).__name__


def _without_password(location: str) -> str:
    if "://" not in location:
        return location
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
