"""Jobs as a test sees them."""

import threading
from pathlib import Path
from typing import Any

from service.jobs.kinds.registry import Kind
from service.jobs.kinds.work import Work
from tests.service.conforming import ConformingClient
from tests.waiting import wait_until

INDEX = "/v1/indexes/index"
WHAT_IF = f"{INDEX}/what-if"
IMPORTANCE = f"{INDEX}/layers/1/importance"
WHY = f"{INDEX}/layers/1/why"
MODEL = "tests.own_models:planted"
SILENCE_0 = {"layer": "1", "edits": [{"neuron": 0}]}


class Gated:
    """A kind whose jobs go on when the test says so, counting how often they run."""

    def __init__(self) -> None:
        self.runs = 0
        self.go = threading.Event()
        self.begun = threading.Event()

    def run(self, work: Work) -> dict[str, Any]:
        self.runs += 1
        self.begun.set()
        step = 0
        while not self.go.wait(0.02):
            step += 1
            work.progress(min(step, 9), 10)
        return {"layer": work.parameters["layer"], "neurons": []}

    @property
    def kind(self) -> Kind:
        return Kind(1, self.run)


def ended(client: ConformingClient, url: str, **asked: Any) -> dict[str, Any]:
    """A job, once it has ended."""
    look = lambda: client.get(url, **asked).json  # noqa: E731
    return wait_until(lambda: job if (job := look())["state"] not in ("queued", "running") else None)


def files(folder: Path) -> dict[str, bytes]:
    """Everything below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
