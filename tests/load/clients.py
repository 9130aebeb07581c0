"""Connections that ask without a pause, and note what they got."""

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.load.questions import Question
from tests.service.processes import Service

WEIGHTS = {"patches": 8, "neurons-on-image": 8, "crop": 6, "upload": 6}
"""How often a question of a kind is asked, beside one of another."""
_BUSY_PAUSE = 0.05
_REQUESTS_A_CONNECTION = 100
"""Then it is opened anew: else they would all end up with the one worker that is never killed."""


@dataclass(frozen=True)
class Failure:
    """A connection that broke: the port at this end, and when."""

    port: int
    at: float
    error: str


@dataclass
class Notes:
    """What the clients got, all together.

    Attributes
    ----------
    answers : Counter
        By question, ETag and content.
    seconds : dict of str to list of float
        How long answers took, by kind.
    refused : Counter
        Uploads sent away, by type of problem.
    failures : list of Failure
    unexpected : list of str
        Answers of a status that nothing explains.
    """

    answers: Counter = field(default_factory=Counter)
    contents: dict[tuple, Any] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Client(threading.Thread):
    """One connection, opened anew where it breaks."""

    def __init__(
        self, service: Service, index: str, asked: list[Question], notes: Notes, ended: threading.Event, seed: int
    ) -> None:
        super().__init__(name=f"client-{seed}")
        self._address = service.address
        self._base = f"/v1/indexes/{index}"
        self._asked = asked
        self._weights = [WEIGHTS[question.kind] for question in asked]
        self._notes = notes
        self._ended = ended
        self._rng = random.Random(seed)

    def run(self) -> None:
        while not self._ended.is_set():
            connection = http.client.HTTPConnection(*self._address, timeout=60)
            port = 0
            try:
                connection.connect()
                port = connection.sock.getsockname()[1]
                for _ in range(_REQUESTS_A_CONNECTION):
                    if not self._ended.is_set():
                        self._ask(connection)
            except (OSError, http.client.HTTPException) as error:
                with self._notes.lock:
                    self._notes.failures.append(Failure(port, time.monotonic(), repr(error)))
            finally:
                connection.close()

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        (number,) = self._rng.choices(range(len(self._asked)), self._weights)
        question = self._asked[number]
        method, headers = ("GET", {}) if question.body is None else ("POST", {"Content-Type": "image/png"})
        started = time.perf_counter()
        connection.request(method, self._base + question.path, question.body, headers)
        answer = connection.getresponse()
        body = answer.read()
        seconds = time.perf_counter() - started
        if answer.status == 200:
            self._note(number, answer.getheader("ETag"), question.content(body), seconds)
        else:
            self._note_problem(question, answer.status, answer.getheader("Retry-After"), body)

    def _note(self, number: int, tag: str | None, content: Any, seconds: float) -> None:
        key = (number, tag, hash(repr(content)))
        with self._notes.lock:
            self._notes.answers[key] += 1
            self._notes.contents[key] = content
            self._notes.seconds[self._asked[number].kind].append(seconds)

    def _note_problem(self, question: Question, status: int, retry_after: str | None, body: bytes) -> None:
        kind = ""
        with contextlib.suppress(ValueError, KeyError):
            kind = json.loads(body)["type"].rpartition(":")[2]
        busy = question.body is not None and status == 503 and kind == "busy" and retry_after is not None
        with self._notes.lock:
            if busy:
                self._notes.refused[kind] += 1
            else:
                self._notes.unexpected.append(f"{question.path}: {status} {body[:300]!r}")
        if busy:
            time.sleep(_BUSY_PAUSE)
