"""Databases for tests of notes: a folder for SQLite, and one of a PostgreSQL server that the environment names."""

import contextlib
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

_NUMBERS = itertools.count()


@contextlib.contextmanager
def each_database(kind: str, folder: Path) -> Iterator[str]:
    """The location of an empty database of this kind."""
    if kind == "sqlite":
        yield str(folder / "notes")
        return
    import psycopg

    server = server_url()
    name = f"t{os.getpid()}_{next(_NUMBERS)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server}/{name}"
    finally:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def server_url() -> str:
    """Where the server is; a test that needs one is skipped where there is none."""
    url = os.environ.get("UNITSCOPE_TEST_POSTGRES")
    if url is None:
        pytest.skip("UNITSCOPE_TEST_POSTGRES names no PostgreSQL server, such as postgresql://postgres@127.0.0.1:5432")
    return url.rstrip("/")
