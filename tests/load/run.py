"""Load and disturbances together, and what came of it."""

import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import indexer
from tests.load.clients import Client, Notes
from tests.load.disturbances import Killer, Publisher
from tests.load.questions import Answers, Question, questions
from tests.service.processes import Service, running

PNG = {"Content-Type": "image/png"}
LONGER = 20


@dataclass(frozen=True)
class Plan:
    """How long, how many connections, and how often it is disturbed (seconds).

    It goes on for up to `LONGER` times as long until so many ``generations`` are published and workers killed.
    """

    seconds: float = 300.0
    generations: int = 2
    kills: int = 2
    connections: int = 64
    publish_every: float = 1.0
    kill_every: float = 20.0
    sample_every: float = 5.0
    workers: int = 3
    layer: str = "features.12"


def load(index: Path, folder: Path, plan: Plan) -> dict[str, Any]:
    """Serve a copy of an index below a folder, under load; see `_report` for what is found."""
    own = Path(shutil.copytree(index, folder / "own"))
    with indexer.open(own) as opened:
        ids = opened.images.id.tolist()
        uploads = [opened.original(record) for record in opened.find_images(limit=4).items]
        asked = questions(opened, plan.layer, ids[len(ids) // 2 :], uploads, seed=0)
    answers = Answers(asked, folder / "kept")
    answers.keep(own)
    notes, ended = Notes(), threading.Event()
    with running(folder / "log", str(own), "--workers", str(plan.workers), "--check-seconds", "0.2") as service:
        upload = next(question for question in asked if question.body)
        assert service.ask(f"/v1/indexes/own{upload.path}", "POST", upload.body, PNG).status_code == 200  # loads torch
        killer = Killer(service, plan.kill_every, ended)
        disturbing = [Publisher(own, ids[: len(ids) // 2], answers, plan.publish_every, ended), killer]
        clients = [Client(service, own.name, asked, notes, ended, seed) for seed in range(plan.connections)]
        for thread in (*clients, *disturbing):
            thread.start()
        samples = _sample(service, plan, lambda: _disturbed(plan, answers, killer), ended)
        for thread in (*clients, *disturbing):
            thread.join()
        metrics = service.ask("/metrics").get_data(as_text=True)
    answers.learn()
    return asdict(plan) | _report(asked, answers, notes, killer, samples) | {"counted": _counted(metrics)}


def _disturbed(plan: Plan, answers: Answers, killer: Killer) -> bool:
    return answers.published >= plan.generations and killer.kills >= plan.kills


def _sample(
    service: Service, plan: Plan, disturbed: Callable[[], bool], ended: threading.Event
) -> list[dict[str, tuple[int, int]]]:
    samples = []
    started = time.monotonic()
    while (passed := time.monotonic() - started) < plan.seconds or (not disturbed() and passed < LONGER * plan.seconds):
        time.sleep(min(plan.sample_every, max(0.1, plan.seconds - passed)))
        samples.append(service.sizes())
    ended.set()
    return samples


def _report(
    asked: list[Question], answers: Answers, notes: Notes, killer: Killer, samples: list[dict[str, tuple[int, int]]]
) -> dict[str, Any]:
    """What happened.

    ``wrong`` answers are not the library's for the generation they name; ``failed`` requests had no answer, and those
    whose connection was not to a killed worker are ``unexplained``; ``unexpected`` answers have another status.
    """
    wrong = [
        f"{asked[key[0]].path} {key[1]}"
        for key, content in notes.contents.items()
        if not answers.right(key[0], key[1], content)
    ]
    tags = [{tag for number, tag, _ in notes.answers if number == one} for one in range(len(asked))]
    answered = {
        kind: sum(count for key, count in notes.answers.items() if asked[key[0]].kind == kind)
        for kind in sorted({question.kind for question in asked})
    }
    return {
        "answered": answered,
        "refused_uploads": sum(notes.refused.values()),
        "generations_published": len(answers.generations),
        "generations_seen": max(map(len, tags)),
        "kills": killer.kills,
        "failed": len(notes.failures),
        "unexplained": [failure.error for failure in notes.failures if failure.port not in killer.ports],
        "unexpected": notes.unexpected[:20],
        "wrong": wrong[:20],
        "milliseconds": {kind: _percentiles(taken) for kind, taken in sorted(notes.seconds.items())},
        "memory_mb": {name: _course(samples, name, 0, 1 << 20) for name in ("supervisor", "worker-0", "network-0")},
        "files_open": {name: _course(samples, name, 1, 1) for name in ("supervisor", "worker-0", "network-0")},
    }


def _percentiles(seconds: list[float]) -> dict[str, float]:
    return {f"p{share}": round(1000 * float(np.percentile(seconds, share)), 1) for share in (50, 99)}


def _course(samples: list[dict[str, tuple[int, int]]], name: str, which: int, unit: int) -> list[int]:
    """The values of one process over time, at about ten moments."""
    values = [sample[name][which] // unit for sample in samples if name in sample]
    return values[:: max(1, len(values) // 10)]


def _counted(metrics: str) -> float:
    lines = (line for line in metrics.splitlines() if line.startswith("unitscope_requests_total"))
    with contextlib.suppress(ValueError):
        return sum(float(line.rpartition(" ")[2]) for line in lines if 'status="200"' in line)
    return -1.0
