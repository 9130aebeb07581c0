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


@pytest.mark.slow
def test_services_that_share_a_folder_tell_the_same_of_jobs_whatever_is_killed(
    folder: Path, tmp_path: Path, gate: Path
) -> None:
    """One service has no process for jobs; others run them, below everything else and in bounded memory."""
    before = files(folder)
    with service(folder, tmp_path, "one", "--jobs", "0") as one:
        assert one.children("job_worker") == []
        with service(folder, tmp_path, "other", "--job-bytes", "3000000000") as other:
            (process,) = other.children("job_worker")
            assert os.getpriority(os.PRIO_PROCESS, process) == 19
            assert "Max data size             3000000000" in Path(f"/proc/{process}/limits").read_text()
            url = asked(one)
            assert asked(other) == url
            for each in (one, other):
                assert until(each, url, "running")["started"]
            waiting = asked(one, {"layer": "1", "edits": []})
            assert (one.ask(waiting, "DELETE").status_code, seen(other, waiting)["state"]) == (202, "cancelled")
            a_killed_job_process_is_told_of(one, other, url)
            gate.unlink()
            assert asked(one) == url
            for each in (one, other):
                assert until(each, url, "done", "failed", "lost")["state"] == "done"
            results = [each.ask(f"{url}/result") for each in (one, other)]
            assert results[0].get_data() == results[1].get_data()
            assert results[0].headers["ETag"] == results[1].headers["ETag"]
            gate.touch()
            cut = asked(one, {"layer": "1", "edits": [{"neuron": 1}]})
            until(one, cut, "running")
            waiting = asked(other, {"layer": "1", "edits": []})
            other.end(signal.SIGKILL)
        lost = until(one, cut, "lost")
        assert lost["detail"] == "the process that ran it has ended; ask again to run it again"
        assert one.ask(f"{url}/result").get_data() == results[0].get_data()
        gate.unlink()
        with service(folder, tmp_path, "next") as another:
            assert asked(one, {"layer": "1", "edits": [{"neuron": 1}]}) == cut
            for job in (waiting, cut):
                assert until(another, job, "done", "failed", "lost")["state"] == "done"
            assert another.ask(url, "DELETE").status_code == 204
            assert one.ask(url).status_code == 404
            assert another.end() == 0
    assert files(folder) == before


def a_killed_job_process_is_told_of(one: Service, other: Service, url: str) -> None:
    (process,) = other.children("job_worker")
    os.kill(process, signal.SIGKILL)
    for each in (one, other):
        lost = until(each, url, "lost", "failed", "done")
        assert (lost["state"], lost["links"]["result"]) == ("lost", None)
        assert "ask again" in lost["detail"]
    wait_until(lambda: 'role="jobs",way="signal"' in other.ask("/metrics").get_data(as_text=True))
