"""`python -m service`: its processes, what they share, and what happens when one of them ends."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from indexer.system import cores as system_cores
from indexer.system.cores import usable_cores
from service import __main__ as command
from service.__main__ import thread_limits, workers
from service.processes import inference_worker
from service.processes.child import Inherited, Lifeline
from service.settings import Settings
from tests.service.conforming import check
from tests.service.processes import Service, running, start
from tests.waiting import wait_until

PATCHES = "/v1/indexes/small/layers/features.12/neurons/3/patches?limit=5"
ROUTE = "/v1/indexes/{index}/layers/{layer}/neurons/{neuron}/patches"


@pytest.fixture(scope="module")
def service(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    log = tmp_path_factory.mktemp("service") / "log"
    options = ("--workers", "2", "--check-seconds", "0", "--forward-queue", "1", "--forward-wait", "60")
    with running(log, *options, UNITSCOPE_DIRECTORY=str(small_index)) as service:
        yield service


@pytest.fixture(scope="module")
def photo(photo_folder: Path) -> bytes:
    return (photo_folder / "birds" / "photo 002.png").read_bytes()


def answered(service: Service) -> float:
    return service.metric(f'unitscope_requests_total{{method="GET",route="{ROUTE}",status="200"}}')


def test_questions_are_answered_by_processes_without_torch_and_without_extra_threads(
    service: Service, photo: bytes
) -> None:
    check("list_patches", "GET", service.ask(PATCHES))
    looked_up = service.upload("small", photo)
    check("lookup_image", "POST", looked_up)
    assert looked_up.json["images"][0]["score"] == pytest.approx(1, abs=1e-4)
    answering = service.children("request_worker")
    assert len(answering) == 2
    for process in answering:
        assert "libtorch" not in Path(f"/proc/{process}/maps").read_text()
        environment = Path(f"/proc/{process}/environ").read_text().split("\0")
        assert "OMP_NUM_THREADS=1" in environment
    (network,) = service.children("inference_worker")
    assert "libtorch" in Path(f"/proc/{network}/maps").read_text()


def test_processes_may_open_as_many_files_as_they_are_let(small_index: Path, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
    try:
        with running(tmp_path / "log", str(small_index), "--workers", "1") as service:
            assert service.ask(PATCHES).status_code == 200
            limits = {resource.prlimit(process, resource.RLIMIT_NOFILE) for process in service.places().values()}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert limits == {(min(hard, 1 << 16), hard)}
    assert hard > 600


def test_torch_is_loaded_before_it_is_needed_unless_told_otherwise(
    small_index: Path, photo: bytes, tmp_path: Path
) -> None:
    def has_torch(service: Service) -> bool:
        (network,) = service.children("inference_worker")
        return "libtorch" in Path(f"/proc/{network}/maps").read_text()

    served = (str(small_index), "--workers", "1")
    patient = {"UNITSCOPE_FORWARD_WAIT": "120"}  # a busy machine may take more than 10 s to load torch
    with (
        running(tmp_path / "log", *served, UNITSCOPE_PRELOAD="true", **patient) as service,
        running(tmp_path / "later", *served, UNITSCOPE_PRELOAD="false", **patient) as later,
    ):
        wait_until(lambda: has_torch(service))
        assert not has_torch(later)  # as the service of the other tests, whose first upload loads it
        assert service.upload("small", photo).status_code == 200
        assert "unitscope_process_ends_total{" not in service.ask("/metrics").get_data(as_text=True)


@pytest.mark.parametrize(("longest", "least", "most"), [(60.0, 5, 1000), (0.05, 1, 8)])
def test_a_process_that_loads_torch_is_alive_for_as_long_as_one_may_take_to_start(
    longest: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference_worker, "TICK", 0.01)
    monkeypatch.setattr(inference_worker, "BOOT_SECONDS", longest)
    ours, theirs = socket.socketpair()
    lifeline = Lifeline(theirs.detach())
    with ours, inference_worker._beating(Inherited(lifeline, [], "", Settings(directory=Path()))):
        ours.settimeout(60)
        signs = b""
        while len(signs) < least:
            signs += ours.recv(4096)
        time.sleep(0.3)  # in which it is silent, or not
        ours.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            signs += ours.recv(4096)
        assert len(signs) <= most
    lifeline.close()


def test_a_worker_that_dies_is_replaced_and_nothing_counted_is_lost(service: Service) -> None:
    before, ended = answered(service), service.metric('unitscope_process_ends_total{role="worker",way="signal"}')
    for _ in range(10):
        assert service.ask(PATCHES).status_code == 200
    killed = service.children("request_worker")[0]
    os.kill(killed, signal.SIGKILL)
    wait_until(
        lambda: killed not in service.children("request_worker") and len(service.children("request_worker")) == 2
    )
    for _ in range(5):
        assert service.ask(PATCHES).status_code == 200
    assert answered(service) == before + 15
    assert service.metric('unitscope_process_ends_total{role="worker",way="signal"}') == ended + 1
    wait_until(lambda: service.metric('unitscope_processes{role="worker"}') == 2)
    assert service.metric("unitscope_requests_in_progress") == 1


def test_a_worker_that_stands_still_is_replaced(small_index: Path, tmp_path: Path) -> None:
    script = tmp_path / "impatient.py"
    script.write_text(
        "import sys, service.__main__ as command\ncommand.HEARTBEAT_SECONDS = 2.0\nsys.exit(command.main())\n"
    )
    assert command.HEARTBEAT_SECONDS > 2
    with running(tmp_path / "log", str(small_index), program=[str(script)]) as service:
        wait_until(
            lambda: service.metric('unitscope_processes{role="worker"}') == len(service.children("request_worker"))
        )
        stopped = service.children("request_worker")[0]
        os.kill(stopped, signal.SIGSTOP)
        wait_until(lambda: stopped not in service.children("request_worker"))
        wait_until(lambda: service.metric('unitscope_process_ends_total{role="worker",way="silence"}') == 1)


def test_a_full_queue_sends_uploads_away_and_nothing_else(service: Service, photo: bytes) -> None:
    (network,) = service.children("inference_worker")
    os.kill(network, signal.SIGSTOP)
    answers: list = []
    asking = [threading.Thread(target=lambda: answers.append(service.upload("small", photo))) for _ in range(6)]
    for thread in asking:
        thread.start()
    wait_until(lambda: len(answers) == 5)  # over both processes, one may wait
    for answer in answers:
        check("lookup_image", "POST", answer)
        assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "busy")
        assert int(answer.headers["Retry-After"]) >= 1
    assert service.ask(PATCHES).status_code == 200
    assert service.metric('unitscope_uploads_refused_total{reason="queue"}') == 5
    os.kill(network, signal.SIGCONT)
    for thread in asking:
        thread.join()
    assert answers[-1].status_code == 200


def test_a_network_that_dies_costs_one_upload_and_is_replaced(service: Service, photo: bytes) -> None:
    expected = service.upload("small", photo).get_data()
    (network,) = service.children("inference_worker")
    os.kill(network, signal.SIGSTOP)  # it takes the turn no further
    answers: list = []
    asking = threading.Thread(target=lambda: answers.append(service.upload("small", photo)))
    asking.start()
    wait_until(lambda: service.metric("unitscope_uploads_waiting") == 1)
    assert service.ask(PATCHES).status_code == 200
    os.kill(network, signal.SIGKILL)  # its turn is still in the queue, so the next one takes it
    asking.join()
    assert (answers[0].status_code, answers[0].get_data()) == (200, expected)
    assert service.children("inference_worker") != [network]


def test_log_lines_are_objects_that_carry_the_request_id(service: Service) -> None:
    service.ask(PATCHES, headers={"X-Request-Id": "of-this-test"})
    (line,) = wait_until(lambda: [line for line in service.logged() if line.get("request_id") == "of-this-test"])
    assert (line["route"], line["status"], line["method"], line["level"]) == (ROUTE, 200, "GET", "info")
    assert line["process"] in ("worker-0", "worker-1")
    assert {type(line[name]) for name in ("bytes", "status")} == {int}


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_are_answered_before_the_end(
    small_index: Path, tmp_path: Path, ending: signal.Signals
) -> None:
    with running(tmp_path / "log", str(small_index), "--workers", "1") as service:
        with socket.create_connection(service.address, timeout=60) as slow:
            slow.sendall(b"GET /v1/indexes/small HTTP/1.1\r\nHost: x\r\n")
            wait_until(lambda: service.ask("/healthz").status_code == 200)
            service.process.send_signal(ending)
            wait_until(lambda: refused(service.address))
            slow.sendall(b"\r\n")
            answer = b"".join(iter(lambda: slow.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert service.process.wait(60) == 0
        assert service.children("request_worker") == service.children("inference_worker") == []
        assert "Traceback" not in service.log.read_text()


def refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address).close()
    except OSError:
        return True
    return False


def test_nobody_is_left_where_the_parent_is_killed(small_index: Path, tmp_path: Path) -> None:
    with running(tmp_path / "log", str(small_index)) as service:
        children = service.children("request_worker") + service.children("inference_worker")
        service.process.kill()
        service.process.wait()
        wait_until(lambda: not any(Path(f"/proc/{child}").exists() for child in children))


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nowhere"], "nowhere"), ([".", "--tokens", "nowhere"], "nowhere"), ([".", "--port", "1x"], "1x"),
        ([".", "--host", "no.such.host.invalid"], "unitscope: "),
    ],
)  # fmt: skip
def test_command_says_what_is_wrong(tmp_path: Path, arguments: list[str], word: str) -> None:
    process = start(tmp_path / "log", *arguments)
    assert process.communicate(timeout=60)[0] == ""
    text = (tmp_path / "log").read_text()
    assert (process.returncode, word in text, "Traceback" in text) == (2, True, False)


def test_a_port_that_is_taken_is_named(service: Service, small_index: Path, tmp_path: Path) -> None:
    process = start(tmp_path / "log", str(small_index), "--port", str(service.address[1]))
    process.communicate(timeout=60)
    assert (process.returncode, "in use" in (tmp_path / "log").read_text()) == (2, True)


def test_threads_of_libraries_are_limited_unless_told_otherwise() -> None:
    assert thread_limits({}, 1)["OMP_NUM_THREADS"] == "1"
    assert thread_limits({"OMP_NUM_THREADS": "3", "A": "b"}, 1) == {
        "OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "A": "b"
    }  # fmt: skip


def test_there_is_a_worker_for_each_core_within_bounds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for cores, wanted in ((1, 2), (5, 5), (96, 8)):
        monkeypatch.setattr("service.__main__.usable_cores", lambda cores=cores: cores)
        assert workers(Settings(directory=tmp_path)) == wanted
    assert workers(Settings(directory=tmp_path, workers=11)) == 11


@pytest.mark.parametrize(("limit", "cores"), [("350000 100000", 3), ("50000 100000", 1), ("max 100000", 7), ("", 7)])
def test_the_limit_of_a_container_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, limit: str, cores: int
) -> None:
    (tmp_path / "cpu.max").write_text(limit)
    monkeypatch.setattr("indexer.system.cores._CGROUP", tmp_path / "cpu.max")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(7))
    assert (usable_cores(), system_cores.cores()) == (cores, cores)
    assert workers(Settings(directory=tmp_path)) == max(cores, 2)


def test_the_parent_imports_nothing_large() -> None:
    code = (
        "import sys, service.__main__, service.processes.supervisor; sys.exit(bool({'numpy', 'torch'} & "
        "set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.slow
def test_a_process_that_cannot_be_started_is_started_later(tmp_path: Path) -> None:
    script = tmp_path / "short.py"
    script.write_text(
        "import os, subprocess, sys\n"
        "from service.processes import supervisor\n"
        "popen, starts = subprocess.Popen, []\n"
        "supervisor.LONGEST_DELAY = 0.1\n"
        "def start(command, **options):\n"
        "    starts.append(command)\n"
        "    if len(starts) == 2:\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    code = 'import os, sys, time; os.write(int(sys.argv[1]), b\".\"); time.sleep(0.3)'\n"
        "    return popen([sys.executable, '-c', code, command[3]], **options)\n"
        "supervisor.subprocess.Popen = start\n"
        "role = supervisor.Role('worker', 'none', 1, 30.0, [], dict(os.environ))\n"
        "watched = supervisor.Supervisor([role], [], 1.0)\n"
        "wait = watched._watch\n"
        "def watch(wake):\n"
        "    wait(wake)\n"
        "    watched._signals = int(len(starts) == 3)\n"
        "watched._watch = watch\n"
        "print(watched.run(lambda: None), len(starts))\n"
    )
    environment = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "UNITSCOPE_PROCESS": "supervisor"}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)
    assert done.stdout.split() == ["True", "3"], done.stderr
