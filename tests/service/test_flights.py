"""Equal questions at the same time: worked out once; every asker gets the answer or the error."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexer.errors import TookTooLong
from indexer.query import deadline
from service.http.flights import Flights
from service.http.response_cache import Answers, Finished
from service.views.learning import reports
from tests.service.conftest import Serve

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
