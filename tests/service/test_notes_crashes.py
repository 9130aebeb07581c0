"""Services that write notes, killed at any moment: what was acknowledged is there, and nothing half."""

import contextlib
import http.client
import itertools
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from service.notes.about.subjects import of_neuron
from service.notes.database.database import Database
from service.notes.database.tables import NOTES
from service.notes.store import Notes
from tests.service.postgres import each_database
from tests.service.processes import Service, running
from tests.waiting import wait_until

WRITERS = 16
LAYER = "features.12"


@dataclass
class Writing:
    """Threads that write by turns to services that may be gone; ``acknowledged`` is what any of these answered."""

    services: list[Service | None]
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: list[tuple[int, int, str]] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)

    def write(self, writer: int, neuron: int) -> None:
        chance, turn = random.Random(writer), 0
        path = f"/v1/indexes/small/note?layer={LAYER}&neuron={neuron}"
        while not self.stop.is_set():
            service = chance.choice(self.services)
            try:
                if service is None:
                    time.sleep(0.05)
                    continue
                seen = service.ask(path).headers["ETag"]
                body = json.dumps({"name": f"{writer}.{turn}", "text": f"by {writer}"}).encode()
                headers = {"If-Match": seen, "Content-Type": "application/json"}
                answer = service.ask(path, "PUT", body, headers)
            except (OSError, http.client.HTTPException, KeyError):
                continue
            turn += 1
            if answer.status_code == 200:
                self.acknowledged.append((neuron, answer.json["revision"], answer.json["name"]))
            elif answer.status_code != 412:
                self.odd.append(answer.get_data(as_text=True))


def kill(processes: list[int]) -> None:
    """End processes as the kernel does when memory is out."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def started(index: Path, location: str, log: Path) -> Iterator[Service]:
    options = ("--notes", location, "--workers", "1", "--jobs", "0", "--preload", "false", "--examine", "false")
    with running(log, str(index), *options) as service:
        yield service


@pytest.mark.parametrize(
    ("kind", "services", "kills", "whole_service"),
    [
        ("sqlite", 1, 2, False),
        pytest.param("sqlite", 2, 20, True, marks=pytest.mark.slow),
        pytest.param("postgresql", 3, 20, True, marks=pytest.mark.slow),
    ],
)
def test_no_acknowledged_change_is_lost_by_kill_9(
    small_index: Path, tmp_path: Path, kind: str, services: int, kills: int, whole_service: bool
) -> None:
    chance = random.Random(kills)
    with each_database(kind, tmp_path) as location, contextlib.ExitStack() as stack:
        start = lambda: stack.enter_context(started(small_index, location, tmp_path / "log"))  # noqa: E731
        writing = Writing([start() for _ in range(services)])
        neurons = [0] * (WRITERS // 2) + list(range(1, WRITERS // 2 + 1))
        threads = [threading.Thread(target=writing.write, args=each) for each in enumerate(neurons)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            before = len(writing.acknowledged)
            wait_until(lambda: len(writing.acknowledged) >= before + 10)  # noqa: B023
            time.sleep(chance.random() / 5)
            number = chance.randrange(services)
            service = writing.services[number]
            assert service is not None
            if whole_service:
                writing.services[number] = None
                kill([service.process.pid, *service.places().values()])
                service.process.wait(60)
                writing.services[number] = start()
            else:  # its supervisor starts another
                kill(service.children("request_worker"))
        wait_until(lambda: len(writing.acknowledged) >= before + 20)
        writing.stop.set()
        for thread in threads:
            thread.join()
        check(small_index, location, writing, kills)


def check(index: Path, location: str, writing: Writing, kills: int) -> None:
    import indexer

    assert writing.odd == []
    with indexer.open(index) as opened:
        configuration = opened.manifest.configuration
        layer = opened.layer(LAYER).info
    notes = Notes(Database(location))
    changes = 0
    for neuron in range(WRITERS // 2 + 1):
        subject = of_neuron(configuration, layer, neuron)
        history, present = notes.history(subject)[::-1], notes.get(subject)
        changes += len(history)
        assert [change.revision for change in history] == list(range(1, len(history) + 1))
        assert history[-1].after == present.state
        for earlier, later in itertools.pairwise(history):
            assert earlier.after == later.before
        told = {revision: name for of, revision, name in writing.acknowledged if of == neuron}
        assert told.items() <= {change.revision: change.after["name"] for change in history}.items()
        assert notes.names(configuration.weights_digest, notes.named())[LAYER][neuron] == present.state["name"]
    assert changes - len(writing.acknowledged) <= kills * WRITERS  # those that were written and not answered any more
    notes.database.read(lambda connection: whole(connection, changes))
    notes.close()


def whole(connection: Connection, changes: int) -> None:
    """Every change has its number, its row and its words."""
    count = lambda asked: connection.execute(text(asked)).scalar_one()  # noqa: E731
    assert count("SELECT revision FROM counters") == count("SELECT count(*) FROM changes") == changes
    assert count("SELECT max(id) FROM changes") == changes
    assert count("SELECT count(*) FROM words") == len(connection.execute(NOTES.select()).all())
    if connection.dialect.name == "sqlite":
        assert count("PRAGMA integrity_check") == "ok"
