"""A Dask cluster of processes, each worker in a folder of its own, whose processes a test may kill."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Self

from distributed import Client

ROOT = Path(__file__).parents[2]


class Cluster:
    """A scheduler and workers; on leaving, all of them end.

    A worker that is silent for longer than ``silent_at_most`` is given up by the scheduler.
    """

    def __init__(self, folder: Path, workers: int, silent_at_most: str = "5 minutes") -> None:
        self.folder = folder
        self._settings = {"DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": silent_at_most}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler = self._start_scheduler()
        self.workers = [self.start_worker() for _ in range(workers)]

    def __enter__(self) -> Self:
        with Client(self.address, timeout=60) as client:
            client.wait_for_workers(len(self.workers), timeout=60)
        return self

    def __exit__(self, *exc: object) -> None:
        for process in [*self.workers, self.scheduler]:
            kill(process)

    def restart_scheduler(self) -> None:
        """Kill it and start another at the same address; workers end when they lose theirs, so there are new ones."""
        kill(self.scheduler)
        for worker in self.workers:
            kill(worker)
        self.scheduler = self._start_scheduler()
        self.workers = [self.start_worker() for _ in self.workers]

    def start_worker(self) -> subprocess.Popen[bytes]:
        home = self.folder / f"worker {len(list(self.folder.iterdir()))}"
        home.mkdir(parents=True)
        return self._start(
            home, "distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--host", "127.0.0.1", "--death-timeout", "60", "--local-directory", str(home),
            "--preload", "indexer.jobs.distributed",  # or they are silent while they import it, after they have come
        )  # fmt: skip

    def _start_scheduler(self) -> subprocess.Popen[bytes]:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self._start(
            self.folder, "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port),
            "--no-dashboard", "--no-show",
        )  # fmt: skip

    def _start(self, home: Path, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | self._settings
        with (home / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *arguments], cwd=home, env=environment, stdout=log, stderr=log
            )


def kill(process: subprocess.Popen[bytes]) -> None:
    """As the machine would that loses power."""
    process.send_signal(signal.SIGKILL)
    process.wait()
