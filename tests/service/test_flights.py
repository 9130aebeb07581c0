"""Equal questions at the same time: worked out once; every asker gets the answer or the error."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer import pictures
from indexer.errors import TookTooLong
from indexer.query import deadline
from service.errors import Busy
from service.http.bounded_queue import Gate
from service.http.flights import Flights
from service.http.response_cache import Answers, Finished
from service.settings import Settings
from service.telemetry import metrics
from service.views import figures
from service.views.learning import reports, why
from tests.service.conftest import Serve
from tests.service.listening import running
from tests.service.test_server import ask
from tests.waiting import wait_until

ASKERS = 8


class Slow:
    """Works for as long as it is told to, and counts."""

    def __init__(self, gives: Callable[[], object]) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self.calls = 0
        self._gives = gives

    def __call__(self) -> object:
        self.calls += 1
        self.begun.set()
        assert self.go.wait(30)
        return self._gives()


def fails() -> object:
    raise ZeroDivisionError("of this test")


def asked_together(flights: Flights, slow: Slow, keys: list[str]) -> list[object]:
    """What each asker of these keys gets: an answer or an error. The work ends when all have asked."""

    def ask(key: str) -> object:
        arrived.release()
        try:
            return flights.of(key, slow)
        except Exception as error:
            return error

    arrived = threading.Semaphore(0)
    with ThreadPoolExecutor(len(keys)) as pool:
        asked = [pool.submit(ask, key) for key in keys]
        for _ in keys:
            arrived.acquire()
        time.sleep(0.05)
        slow.go.set()
        return [each.result(30) for each in asked]


def test_equal_questions_are_worked_out_once() -> None:
    slow = Slow(lambda: object())
    found = asked_together(Flights(), slow, ["a"] * ASKERS)
    assert slow.calls == 1
    assert len({id(each) for each in found}) == 1


def test_different_questions_do_not_wait_for_each_other() -> None:
    slow = Slow(lambda: object())
    found = asked_together(Flights(), slow, ["a", "b", "c"])
    assert slow.calls == 3
    assert len({id(each) for each in found}) == 3


def test_an_error_is_handed_to_all_and_is_not_kept() -> None:
    flights, slow = Flights(), Slow(fails)
    found = asked_together(flights, slow, ["a"] * ASKERS)
    assert slow.calls == 1
    assert all(isinstance(each, ZeroDivisionError) for each in found)
    assert flights.of("a", lambda: "right now") == "right now"


def test_nobody_waits_longer_than_his_question_may_take() -> None:
    flights, slow = Flights(), Slow(lambda: "late")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(flights.of, "a", slow)
        assert slow.begun.wait(10)
        began = time.monotonic()
        with deadline.within(0.2), pytest.raises(TookTooLong):
            flights.of("a", fails)
        assert time.monotonic() - began < 5
        slow.go.set()
        assert first.result(10) == "late"


def test_where_whoever_works_is_ended_others_work_themselves() -> None:
    flights = Flights()

    def ended() -> object:
        begun.set()
        assert waiting.wait(10)
        time.sleep(0.05)
        raise SystemExit

    begun, waiting = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(flights.of, "a", ended)
        assert begun.wait(10)
        second = pool.submit(flights.of, "a", lambda: "mine")
        waiting.set()
        assert second.result(10) == "mine"
        assert isinstance(first.exception(10), SystemExit)


@pytest.mark.parametrize("most_bytes", [0, 1 << 20])
def test_answers_are_made_once_whether_they_are_kept_or_not(most_bytes: int) -> None:
    answers, slow = Answers(most_bytes), Slow(lambda: Finished(b"x", ()))
    with ThreadPoolExecutor(ASKERS) as pool:
        asked = [pool.submit(answers.of, "a", slow) for _ in range(ASKERS)]
        assert slow.begun.wait(10)
        time.sleep(0.1)
        slow.go.set()
        assert {each.result(10).body for each in asked} == {b"x"}
    assert slow.calls == 1


def test_over_http_a_slow_report_is_worked_out_once(
    serve: Serve, small_index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, calls, real = serve(small_index, answer_bytes=0), [], reports.report

    def slow(*arguments: object) -> object:
        calls.append(1)
        time.sleep(0.5)
        return real(*arguments)

    monkeypatch.setattr(reports, "report", slow)
    app = client.application
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(lambda: app.test_client().get("/v1/indexes/small/report")) for _ in range(4)]
        found = [each.result(60) for each in asked]
    assert [answer.status_code for answer in found] == [200] * 4
    assert len({answer.get_data() for answer in found}) == 1
    assert len(calls) == 1
    assert len({answer.headers["X-Request-Id"] for answer in found}) == 4


def test_whoever_is_counted_once_is_not_counted_again() -> None:
    """The one who works passes a gate within which those who wait for it stand already."""
    gate = Gate(inside=1, queue=3, seconds=30, kind="tests", refused=metrics.REFUSED)
    flights, slow = Flights(), Slow(lambda: "drawn")

    def draw() -> object:
        with gate.enter():
            return slow()

    def draw_together(_: int) -> object:
        try:
            with gate.count_in():
                return flights.of("a", draw)
        except Busy as error:
            return type(error)

    with ThreadPoolExecutor(ASKERS) as pool:
        asked = [pool.submit(draw_together, number) for number in range(ASKERS)]
        wait_until(lambda: sum(each.done() for each in asked) == ASKERS - 4, 10)
        slow.go.set()
        found = [each.result(30) for each in asked]
    assert (found.count("drawn"), found.count(Busy), slow.calls) == (4, ASKERS - 4, 1)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(draw_together, range(4))) == ["drawn"] * 4, "every place is free again"


THREADS, UPLOADS, DRAWINGS = 7, 2, 4
"""Of a process; two for uploads, and all others but one for drawings."""
PATCH = "/v1/indexes/small/images/3/layers/features.12/cells/1,1"
SLOW = {
    "a sheet": ("/v1/indexes/small/layers/features.12/neurons/3/sheet.png", (figures, "sheet"), DRAWINGS),
    "a sheet of a layer": ("/v1/indexes/small/layers/features.12/sheet.png?neurons=3", (figures, "sheet"), DRAWINGS),
    "tiles": ("/v1/indexes/small/layers/features.12/neurons/3/tiles.jpg", (figures, "mosaic"), DRAWINGS),
    "a saliency": (f"{PATCH}/saliency.png?neuron=3", (figures, "saliency"), UPLOADS),
    "a masked patch": (f"{PATCH}/patch.jpg?mask=true&neuron=3", (pictures, "patch"), UPLOADS),
    "why": ("/v1/indexes/small/images/3/why?layer=features.12", (why, "why_on"), UPLOADS),
}


@pytest.mark.parametrize("kind", SLOW)
def test_however_many_wait_for_one_answer_a_thread_is_left_for_the_rest(
    small_index: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    if "mask" in kind or "saliency" in kind:
        pytest.importorskip("captum.attr")
    url, (module, name), most = SLOW[kind]
    real, begun, go = getattr(module, name), [], threading.Event()

    def slow(*arguments: object, **options: object) -> object:
        begun.append(1)
        assert go.wait(60)
        return real(*arguments, **options)

    monkeypatch.setattr(module, name, slow)
    settings = Settings(
        directory=small_index, threads=THREADS, forward_passes=1, forward_queue=UPLOADS - 1, drawings=2, notes=""
    )
    with running(settings) as (address, _), ThreadPoolExecutor(2 * THREADS) as pool:
        try:
            asked = [pool.submit(ask, address, "GET", url) for _ in range(2 * THREADS)]
            wait_until(lambda: sum(each.done() for each in asked) == 2 * THREADS - most, 20)
            assert ask(address, "GET", "/healthz").status_code == 200
        finally:
            go.set()
        answers = [each.result(60) for each in asked]
    assert sorted(answer.status_code for answer in answers) == [200] * most + [503] * (2 * THREADS - most)
    assert len({answer.get_data() for answer in answers if answer.status_code == 200}) == 1
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 503)
    assert len(begun) == 1
