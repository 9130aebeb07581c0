"""Few open files and many idle connections: others are answered, nothing spins, the log stays small."""

import contextlib
import http.client
import io
import json
import logging
import os
import resource
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.shards import pool
from service.processes import descriptors
from service.telemetry.logs import BoundedHandler, JsonFormatter
from tests.service.processes import Service, running

FILES, IDLE = 256, 600
LIMITED = (
    "-c",
    f"import resource, runpy; resource.setrlimit(resource.RLIMIT_NOFILE, ({FILES}, {FILES}));"
    "runpy.run_module('service', run_name='__main__', alter_sys=True)",
)
HALF = b"GET /healthz HTTP/1.1\r\nHost: x"


@pytest.fixture(scope="module")
def limited(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two processes, each of which may have few files open."""
    log = tmp_path_factory.mktemp("limited") / "log"
    with running(log, str(small_index), "--workers", "2", program=LIMITED) as service:
        assert service.ask("/readyz").status_code == 200
        yield service


@contextlib.contextmanager
def idle_connections(address: tuple[str, int], first: bytes, count: int = IDLE) -> Iterator[list[socket.socket]]:
    """Connections that say no more than this."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            opened.append(stack.enter_context(socket.create_connection(address, timeout=60)))
            if first:
                opened[-1].sendall(first)
        yield opened


def processor_seconds(service: Service) -> float:
    ticks = 0
    for process in service.children("request_worker"):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize(
    ("first", "count"),
    [(b"", IDLE), pytest.param(HALF, IDLE // 2, marks=pytest.mark.slow)],
    ids=["silent", "half a request"],
)
def test_idle_connections_leave_room_for_others(limited: Service, first: bytes, count: int) -> None:
    logged = limited.log.stat().st_size
    with idle_connections(limited.address, first, count):
        began, used = time.monotonic(), processor_seconds(limited)
        for _ in range(5):
            assert limited.ask("/v1/indexes/small").status_code == 200
        taken = time.monotonic() - began
        assert taken < 50
        time.sleep(max(0.0, 4 - taken))
        share = (processor_seconds(limited) - used) / (time.monotonic() - began)
    assert share < 0.5, "it spins"
    assert limited.log.stat().st_size - logged < 100_000
    assert not [line for line in limited.logged() if "traceback" in line]
    assert limited.ask("/readyz").status_code == 200


def test_what_does_not_fit_is_made_smaller_and_said(limited: Service) -> None:
    lines = [line["message"] for line in limited.logged() if "ulimit -n" in line["message"]]
    fitting = (FILES - 48) // 2
    assert len(lines) == 2
    assert all(f"{FILES} files" in line and f"{fitting} connections and not 250" in line for line in lines)


def test_a_connection_in_use_is_not_closed_for_others(limited: Service) -> None:
    connection = http.client.HTTPConnection(*limited.address, timeout=60)
    with contextlib.closing(connection), idle_connections(limited.address, b""):
        sockets = set()
        end = time.monotonic() + 4
        while time.monotonic() < end:
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            sockets.add(connection.sock)
    assert len(sockets) == 1


@pytest.mark.parametrize(
    ("files", "wanted", "fitting"), [(256, 250, 104), (1024, 250, 250), (1 << 16, 10_000, 10_000), (64, 250, 10)]
)
def test_connections_are_fitted_to_the_files(
    monkeypatch: pytest.MonkeyPatch, files: int, wanted: int, fitting: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert descriptors.connections(wanted) == fitting


@pytest.mark.parametrize(
    ("files", "shards"),
    [(64, 4), (256, 16), (1024, 128), (1 << 16, 1024), (1 << 20, 1024), (resource.RLIM_INFINITY, 1024)],
)
def test_open_shards_are_fitted_to_the_files(monkeypatch: pytest.MonkeyPatch, files: int, shards: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert pool.open_at_most() == shards


@pytest.mark.parametrize("lines", [3, 10, 5000])
def test_lines_of_one_kind_are_bounded_and_counted(lines: int) -> None:
    written = io.StringIO()
    handler = BoundedHandler(written, most=10)
    handler.setFormatter(JsonFormatter("p"))

    def log(name: str, text: str, *values: object) -> None:
        handler.emit(logging.LogRecord(name, logging.WARNING, __file__, 1, text, values, None))

    for number in range(lines):
        log("a", "failed for the %d. time", number)
        log("service.requests", "GET %d", number)
    log("a", "another kind")
    handler.close()
    found = [json.loads(line) for line in written.getvalue().splitlines()]
    kept = [line for line in found if line["message"].startswith("failed")]
    left_out = sum(line.get("left_out", 0) for line in found)
    assert len(kept) + left_out == lines
    assert (left_out > 0) == (lines > 10)
    assert len([line for line in found if line["logger"] == "service.requests"]) == lines
    assert len([line for line in found if line["message"] == "another kind"]) == 1
    assert lines < 100 or len(kept) <= 10 * 5
