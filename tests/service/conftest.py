"""Fixtures of the service's tests: applications over real indexes, with clients that hold them to the contract."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import indexer
from indexer.query.index import Index
from service.app import Application, create_app
from service.settings import Settings
from tests.service.conforming import ConformingClient
from tests.service.listening import running

Serve = Callable[..., ConformingClient]


def make_app(directory: Path, **settings: Any) -> Application:
    app = create_app(Settings(directory=directory, **({"examine": False} | settings)))
    app.test_client_class = ConformingClient
    return app


@contextmanager
def served(directory: Path, **settings: Any) -> Iterator[ConformingClient]:
    """A client of an application over a directory, which is closed in the end."""
    app = make_app(directory, **settings)
    yield app.test_client()
    app.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve a directory; gives a client. What was opened is closed after the test."""
    apps: list[Application] = []

    def client_of(directory: Path, **settings: Any) -> ConformingClient:
        apps.append(make_app(directory, **settings))
        return apps[-1].test_client()

    yield client_of
    for app in apps:
        app.close()


@pytest.fixture(scope="session")
def client(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    """Serves `small_index`, which is called "small"."""
    with served(small_index, results=tmp_path_factory.mktemp("results")) as client:
        yield client


@pytest.fixture(scope="session")
def live_url(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where `small_index` is served over a socket."""
    results, notes = tmp_path_factory.mktemp("results"), str(tmp_path_factory.mktemp("notes"))
    with running(Settings(directory=small_index, results=results, notes=notes, job_queue=1000)) as ((host, port), _):
        yield f"http://{host}:{port}"


@pytest.fixture(scope="session")
def index(small_index: Path) -> Iterator[Index]:
    """`small_index`, open as a library."""
    with indexer.open(small_index) as index:
        yield index
