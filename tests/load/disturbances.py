"""Publishing generations, and killing workers, while the clients ask."""

import contextlib
import os
import random
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from indexer.index.manifest import read_manifest
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from tests.load.questions import Answers
from tests.service.processes import Service

COMPACT_EVERY = 8


class Publisher(threading.Thread):
    """Removes an image every so many seconds, and erases removed ones from the shards now and then."""

    def __init__(
        self, directory: Path, removable: list[int], answers: Answers, seconds: float, ended: threading.Event
    ) -> None:
        super().__init__(name="publisher")
        self._directory = directory
        self._removable = removable
        self._answers = answers
        self._seconds = seconds
        self._ended = ended
        self._job = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        self._job.submit(read_manifest, directory).result()  # its imports are not part of the load

    def run(self) -> None:
        with self._job as job:
            for number, image in enumerate(self._removable, start=1):
                if self._ended.wait(self._seconds):
                    return
                job.submit(remove, self._directory, ids=[image]).result()
                self._answers.keep(self._directory)
                if number % COMPACT_EVERY == 0:
                    job.submit(compact, self._directory).result()
                    self._answers.keep(self._directory)


class Killer(threading.Thread):
    """Kills a worker every so many seconds, never the first one: what that one keeps would show.

    Attributes
    ----------
    kills : int
    ports : set of int
        The ports of the clients that were connected to a killed worker.
    """

    def __init__(self, service: Service, seconds: float, ended: threading.Event) -> None:
        super().__init__(name="killer")
        self._service = service
        self._seconds = seconds
        self._ended = ended
        self.kills = 0
        self.ports: set[int] = set()

    def run(self) -> None:
        rng = random.Random(0)
        while not self._ended.wait(self._seconds):
            places = self._service.places()
            others = [name for name in places if name.startswith("worker-") and name != "worker-0"]
            if not others:  # the last one killed is not replaced yet
                continue
            victim = places[rng.choice(others)]
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGSTOP)  # so that it accepts nobody between this and its end
                self.ports |= peers(victim, self._service.address[1])
                os.kill(victim, signal.SIGKILL)
                self.kills += 1


def peers(process: int, port: int) -> set[int]:
    """The ports of the clients that are connected to a process at a port of this machine."""
    inodes = set()
    for link in Path(f"/proc/{process}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(link))
    rows = (line.split() for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:])
    return {
        int(row[2].rpartition(":")[2], 16)
        for row in rows
        if int(row[1].rpartition(":")[2], 16) == port and f"socket:[{row[9]}]" in inodes
    }
