"""`python -m service` as a test sees it: started, asked, looked into, ended."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Response

ROOT = Path(__file__).parents[2]
SECONDS = 60
SERVICE = ("-m", "service")


@dataclass
class Service:
    """A running service."""

    process: subprocess.Popen
    address: tuple[str, int]
    log: Path

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """One request on a connection of its own."""
        with contextlib.closing(http.client.HTTPConnection(*self.address, timeout=SECONDS)) as connection:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Response(answer.read(), answer.status, answer.getheaders())

    def upload(self, index: str, image: bytes) -> Response:
        path = f"/v1/indexes/{index}/lookup?limit=3&layer=features.12"
        return self.ask(path, "POST", image, {"Content-Type": "image/png"})

    def children(self, module: str) -> list[int]:
        """Process ids of the children that run a module."""
        found = []
        for status in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                command = status.read_bytes().split(b"\0")
                parent = (status.parent / "stat").read_text().rpartition(")")[2].split()[1]
                if int(parent) == self.process.pid and f"service.processes.{module}".encode() in command:
                    found.append(int(status.parent.name))
        return sorted(found)

    def places(self) -> dict[str, int]:
        """Process ids of all children, by the name of the place that each fills."""
        found = {}
        modules = ("request_worker", "inference_worker", "job_worker")
        for process in [process for module in modules for process in self.children(module)]:
            with contextlib.suppress(OSError, IndexError):
                environment = Path(f"/proc/{process}/environ").read_text()
                found[environment.split("UNITSCOPE_PROCESS=")[1].split("\0")[0]] = process
        return found

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Private memory in bytes, and open descriptors that are no sockets, by place; "supervisor" is the parent."""
        found = {}
        for place, process in {**self.places(), "supervisor": self.process.pid}.items():
            with contextlib.suppress(OSError, IndexError):
                status = Path(f"/proc/{process}/status").read_text()
                private = 1024 * int(status.split("RssAnon:")[1].split()[0])
                links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
                found[place] = (private, sum(not link.startswith("socket:") for link in links))
        return found

    def metric(self, sample: str) -> float:
        """The value of a sample, written as Prometheus does; 0 where there is none."""
        found = re.search(rf"^{re.escape(sample)} (\S+)$", self.ask("/metrics").get_data(as_text=True), re.MULTILINE)
        return float(found[1]) if found else 0.0

    def logged(self) -> list[dict[str, Any]]:
        """Every line of the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def end(self, ending: signal.Signals = signal.SIGTERM) -> int:
        """Tell it to end; its exit status."""
        self.process.send_signal(ending)
        return self.process.wait(SECONDS)


def start(log: Path, *arguments: str, program: Sequence[str] = SERVICE, **environment: str) -> subprocess.Popen:
    """Start `python -m service`, where every warning is an error; or another program in its place."""
    inherited = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    with log.open("w") as errors:
        return subprocess.Popen(
            [sys.executable, *program, *arguments], stdout=subprocess.PIPE, stderr=errors, text=True, cwd=ROOT,
            env=inherited | {"PYTHONWARNINGS": "error", "PYTHONPATH": str(ROOT)} | environment,
        )  # fmt: skip


@contextlib.contextmanager
def running(log: Path, *arguments: str, program: Sequence[str] = SERVICE, **environment: str) -> Iterator[Service]:
    """A service on a free port, ended afterwards."""
    process = start(log, "--port", "0", *arguments, program=program, **environment)
    assert process.stdout is not None
    with process.stdout:
        try:
            line = process.stdout.readline()
            found = re.search(r"http://([^:/]+):(\d+)/", line)
            assert found, log.read_text()
            yield Service(process, (found[1], int(found[2])), log)
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
