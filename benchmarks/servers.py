"""Milliseconds of processors an answer, of the service's own views under other WSGI servers.

python -m benchmarks.servers INDEX --layer features.12 [--path FOLDER] [--rounds 5] [--requests 400]

waitress as the service sets it up, gunicorn (threads) and granian, each one process of 12 threads; they take turns.
gunicorn and granian are no dependencies: ``pip install --target FOLDER gunicorn granian``. One client asks over one
connection. Counted is what the server's processes use, which other work on the machine changes less than the clock.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from flask import Flask

from benchmarks import clients
from benchmarks.clients import Address
from service.app import create_app
from service.processes.server import Server
from service.processes.sockets import listen
from service.settings import Settings

INDEX, PORT = "BENCHMARK_INDEX", "BENCHMARK_PORT"
THREADS = "12"
_OWN = "from benchmarks.servers import waitress; waitress()"
_MAKE = "benchmarks.servers:make"
_TICKS = os.sysconf("SC_CLK_TCK")


def make() -> Flask:
    """The application, without kept answers."""
    return create_app(Settings(directory=Path(os.environ[INDEX]), answer_bytes=0, log_level="error"))


def waitress() -> None:
    """Serve it as the service does."""
    app = make()
    Server(app, app.services.settings, listen("127.0.0.1", int(os.environ[PORT]))).run(lambda: None)


def commands(port: int) -> dict[str, list[str]]:
    """How each server is started."""
    own = [sys.executable, "-m"]
    return {
        "waitress": [sys.executable, "-c", _OWN],
        "gunicorn": [
            *own, "gunicorn", "--no-control-socket", "-k", "gthread", "--threads", THREADS, "-w", "1", "-b",
            f"127.0.0.1:{port}", f"{_MAKE}()",
        ],
        "granian": [
            *own, "granian", "--interface", "wsgi", "--workers", "1", "--blocking-threads", THREADS, "--factory",
            "--host", "127.0.0.1", "--port", str(port), _MAKE,
        ],
    }  # fmt: skip


@contextmanager
def serving(name: str, index: Path, folder: str, port: int) -> Iterator[tuple[int, Address]]:
    """A server's process, and its address."""
    path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", os.getcwd()), folder)))
    environment = os.environ | {INDEX: str(index), PORT: str(port), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    silent = subprocess.DEVNULL
    with subprocess.Popen(commands(port)[name], env=environment, stdout=silent, stderr=silent) as process:
        try:
            address = ("127.0.0.1", port)
            _wait(address, process)
            yield process.pid, address
        finally:
            process.terminate()


def _wait(address: Address, process: subprocess.Popen) -> None:
    for _ in range(1200):
        try:
            with closing(clients.connect(address)) as connection:
                clients.get(connection, "/healthz")
            return
        except OSError:
            if process.poll() is not None:
                raise RuntimeError("a server did not start; are gunicorn and granian in --path?") from None
            time.sleep(0.1)
    raise RuntimeError("a server did not start within two minutes")


def cpu(pid: int) -> float:
    """Seconds that a process and its children have used."""
    total = sum(int(field) for field in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return total / _TICKS + sum(cpu(int(child)) for child in children)


def asked(pid: int, address: Address, path: str, tag: str | None, times: int) -> float:
    """Milliseconds of processors an answer."""
    with closing(clients.connect(address)) as connection:
        clients.get(connection, path, tag)
        before = cpu(pid)
        for _ in range(times):
            clients.get(connection, path, tag)
        return 1e3 * (cpu(pid) - before) / times


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="one of photographs")
    parser.add_argument("--layer", default="features.12")
    parser.add_argument("--path", default="", help="the folder with gunicorn and granian")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--port", type=int, default=8731, help="and the two behind it")
    options = parser.parse_args(arguments)
    api = f"/v1/indexes/{options.index.name}"
    paths = {
        "/healthz": "/healthz",
        "a crop seen before (304)": f"{api}/images/1/layers/{options.layer}/cells/3,3/patch.jpg",
        "top patches, first page": f"{api}/layers/{options.layer}/neurons/7/patches?limit=9",
        "neurons firing": f"{api}/images/1/neurons?limit=9&layer={options.layer}",
    }
    names = list(commands(0))
    with ExitStack() as stack:
        servers = [
            stack.enter_context(serving(name, options.index, options.path, options.port + number))
            for number, name in enumerate(names)
        ]
        print(f"\nload {os.getloadavg()[0]:.1f}\n\n| CPU ms an answer | {' | '.join(names)} |")
        print("| --- | " + " | ".join("---:" for _ in names) + " |", flush=True)
        for name, path in paths.items():
            tag = None
            if "304" in name:
                with closing(clients.connect(servers[0][1])) as connection:
                    tag = clients.get(connection, path).headers["ETag"]
            rounds = [
                [asked(*server, path, tag, options.requests) for server in servers] for _ in range(options.rounds)
            ]
            medians = [statistics.median(one) for one in zip(*rounds, strict=True)]
            print(f"| {name} | {' | '.join(f'{median:.2f}' for median in medians)} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
