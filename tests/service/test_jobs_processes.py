"""Jobs of whole services: what is lost when a process ends, and what services that share a folder tell of them."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import check
from tests.service.jobs import SILENCE_0, WHAT_IF, files
from tests.service.processes import Service, running
from tests.service.slow_network import GATE
from tests.waiting import wait_until

JSON = {"Content-Type": "application/json"}
SLOW = "tests.service.slow_network:planted"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("processes")
    return build_planted(write_colours(folder / "photos", 3, numbered(6), noise=90), folder / "index", {0: 0.5})


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """While it is there, jobs run."""
    (tmp_path / "gate").touch()
    return tmp_path / "gate"


@contextmanager
def service(folder: Path, tmp_path: Path, name: str, *options: str) -> Iterator[Service]:
    arguments = (
        str(folder), "--model", SLOW, "--results", str(tmp_path / "results"), "--workers", "1", "--check-seconds", "0",
        "--examine", "false", *options,
    )  # fmt: skip
    with running(tmp_path / name, *arguments, **{GATE: str(tmp_path / "gate")}) as started:
        yield started


def asked(service: Service, body: dict[str, Any] = SILENCE_0) -> str:
    answer = service.ask(WHAT_IF, "POST", json.dumps(body).encode(), JSON)
    check("start_what_if", "POST", answer)
    assert answer.status_code == 202
    return answer.headers["Location"]


def seen(service: Service, url: str) -> dict[str, Any]:
    answer = service.ask(url)
    check("get_job", "GET", answer)
    return json.loads(answer.get_data())


def until(service: Service, url: str, *states: str) -> dict[str, Any]:
    return wait_until(lambda: job if (job := seen(service, url))["state"] in states else None)


def test_any_of_several_services_that_share_a_folder_answers_for_all(folder: Path, tmp_path: Path, gate: Path) -> None:
    """One has no process for jobs; the other runs them below everything else, in bounded memory, and cancels."""
    with (
        service(folder, tmp_path, "one", "--jobs", "0") as one,
        service(folder, tmp_path, "other", "--job-bytes", "3000000000") as other,
    ):
        assert one.children("job_worker") == []
        (process,) = other.children("job_worker")
        assert os.getpriority(os.PRIO_PROCESS, process) == 19
        assert "Max data size             3000000000" in Path(f"/proc/{process}/limits").read_text()
        url = asked(one)
        assert asked(other) == url
        for each in (one, other):
            assert until(each, url, "running")["started"]
        waiting = asked(one, {"layer": "1", "edits": []})
        assert (one.ask(waiting, "DELETE").status_code, seen(other, waiting)["state"]) == (202, "cancelled")
        gate.unlink()
        for each in (one, other):
            assert until(each, url, "done")["job"] == url.split("/")[-1]
        results = [each.ask(f"{url}/result") for each in (one, other)]
        assert results[0].get_data() == results[1].get_data()
        assert results[0].headers["ETag"] == results[1].headers["ETag"]
        assert other.ask(url, "DELETE").status_code == 204
        assert one.ask(url).status_code == 404
        assert (one.end(), other.end()) == (0, 0)


def test_a_killed_job_process_is_told_of_and_the_next_one_takes_over(folder: Path, tmp_path: Path, gate: Path) -> None:
    with service(folder, tmp_path, "log") as killed:
        url = asked(killed)
        until(killed, url, "running")
        (process,) = killed.children("job_worker")
        os.kill(process, signal.SIGKILL)
        lost = until(killed, url, "lost", "failed", "done")
        assert (lost["state"], lost["links"]["result"]) == ("lost", None)
        assert "ask again" in lost["detail"]
        gate.unlink()
        assert asked(killed) == url
        assert until(killed, url, "done", "failed", "lost")["state"] == "done"
        assert 'role="jobs",way="signal"' in killed.ask("/metrics").get_data(as_text=True)


def test_a_killed_service_says_so_afterwards_and_loses_nothing_stored(folder: Path, tmp_path: Path, gate: Path) -> None:
    before = files(folder)
    with service(folder, tmp_path, "first") as first:
        gate.unlink()
        stored = asked(first, {"layer": "1", "edits": []})
        until(first, stored, "done")
        result = first.ask(f"{stored}/result").get_data()
        (process,) = first.children("job_worker")
        os.kill(process, signal.SIGKILL)  # with the network that it has loaded
        gate.touch()
        cut = asked(first)
        until(first, cut, "running")
        waiting = asked(first, {"layer": "1", "edits": [{"neuron": 1}]})
        first.end(signal.SIGKILL)
    with service(folder, tmp_path, "second") as second:
        assert until(second, cut, "lost")["detail"].startswith("the process that ran it has ended")
        assert second.ask(f"{stored}/result").get_data() == result
        gate.unlink()
        assert until(second, waiting, "done", "failed", "lost")["state"] == "done"
        assert asked(second) == cut
        assert until(second, cut, "done", "failed", "lost")["state"] == "done"
    assert files(folder) == before
