"""What each stage of some work costs this process: seconds, CPU seconds and memory, sampled while it runs."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

EVERY = 0.02
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """Of one stage.

    Attributes
    ----------
    seconds, cpu : float
        By the clock, and of all threads together, in the system as well.
    own, resident : float
        By how many megabytes the highest memory seen, own (anonymous) or with mapped files, exceeds that of the
        beginning of the watch.
    """

    seconds: float
    cpu: float
    own: float
    resident: float


class Watch:
    """Watches this process by stages, each of which lasts until the next.

    ``with Watch() as watch:``, ``watch.stage("indexing")``, …; then `costs` has them, by name.
    """

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = {}
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._keep_sampling, daemon=True)
        self._before = self._highest = _memory()
        self._name = ""
        self._started = (0.0, 0.0)

    def __enter__(self) -> "Watch":
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stage("")
        self._ended.set()
        self._sampler.join()

    def stage(self, name: str) -> None:
        """End the stage before, and begin this one, unless it is the same."""
        if name == self._name:
            return
        self._sample()
        if self._name:
            seconds, cpu = (now - then for now, then in zip(_clocks(), self._started, strict=True))
            own, resident = (high - low for high, low in zip(self._highest, self._before, strict=True))
            self.costs[self._name] = Cost(seconds, cpu, own, resident)
        self._name, self._highest, self._started = name, _memory(), _clocks()

    def _sample(self) -> None:
        own, resident = _memory()
        self._highest = (max(own, self._highest[0]), max(resident, self._highest[1]))

    def _keep_sampling(self) -> None:
        while not self._ended.wait(EVERY):
            self._sample()


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _memory() -> tuple[float, float]:
    """Megabytes of this process: its own, and resident."""
    found = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return int(found["RssAnon"].split()[0]) / 1024, int(found["VmRSS"].split()[0]) / 1024
