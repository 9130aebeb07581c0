"""A queue between a thread that starts work and threads that write: its order, its bound, failures of both sides."""

import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from indexer.jobs.pipeline.handover import Handover
from tests.waiting import wait_until

DEADLINE = 20
"""Seconds; a queue that hangs fails, instead of holding up all tests."""


def taken(handover: Handover[int], part: int) -> list[int]:
    with handover.taking(part) as items:
        return list(items)


def fill(handover: Handover[int], part: int, items: list[int]) -> None:
    with handover.filling(part):
        for item in items:
            handover.put(item)


@pytest.mark.parametrize("takers", [1, 2, 5])
@pytest.mark.parametrize("most", [1, 2, 7])
def test_every_part_gets_its_items_in_order(takers: int, most: int) -> None:
    sizes = [random.Random(takers * 10 + most).randrange(6) for _ in range(30)]
    handover = Handover[int](most)
    with ThreadPoolExecutor(takers) as pool:
        parts: list[Future[list[int]]] = []
        for part, size in enumerate(sizes):
            with handover.filling(part):
                parts.append(pool.submit(taken, handover, part))
                for item in range(size):
                    handover.put(100 * part + item)
        assert [part.result(DEADLINE) for part in parts] == [
            [100 * part + item for item in range(size)] for part, size in enumerate(sizes)
        ]


def test_a_part_is_taken_after_the_parts_before() -> None:
    """Also where its taker comes first."""
    handover = Handover[int](9)
    order: list[tuple[int, int]] = []

    def note(part: int) -> None:
        with handover.taking(part) as items:
            order.extend((part, item) for item in items)

    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(note, 1)
        fill(handover, 0, [1, 2])
        fill(handover, 1, [3])
        first = pool.submit(note, 0)
        first.result(DEADLINE)
        second.result(DEADLINE)
    assert order == [(0, 1), (0, 2), (1, 3)]


def test_no_more_items_wait_than_allowed() -> None:
    """Those that a taker has not finished with are counted."""
    handover, go_on = Handover[int](3), threading.Semaphore(0)
    put: list[int] = []

    def fill_slowly() -> None:
        with handover.filling(0):
            for item in range(8):
                handover.put(item)
                put.append(item)

    def take_slowly() -> None:
        with handover.taking(0) as items:
            for _ in items:
                assert go_on.acquire(timeout=DEADLINE)

    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(fill_slowly), pool.submit(take_slowly)]
        for finished in range(6):
            wait_until(lambda least=finished + 3: len(put) >= min(least, 8))
            time.sleep(0.01)
            assert len(put) == min(finished + 3, 8)
            go_on.release()
        go_on.release(2)
        for future in both:
            future.result(DEADLINE)


def test_a_failure_while_filling_comes_behind_the_items_before() -> None:
    handover = Handover[int](4)
    seen: list[int] = []

    def note(part: int) -> None:
        with handover.taking(part) as items:
            for item in items:
                seen.append(item)

    def fill_and_fail() -> None:
        with handover.filling(1):
            handover.put(3)
            raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as pool:
        whole, broken = pool.submit(note, 0), pool.submit(note, 1)
        fill(handover, 0, [1, 2])
        with pytest.raises(KeyboardInterrupt):
            fill_and_fail()
        whole.result(DEADLINE)
        assert isinstance(broken.exception(DEADLINE), KeyboardInterrupt)
    assert seen == [1, 2, 3]


@pytest.mark.parametrize("most", [1, 3])
@pytest.mark.parametrize("at", [0, 2, None])
def test_a_failure_while_taking_reaches_everyone(most: int, at: int | None) -> None:
    """The filler, who may wait for room, and the takers of later parts; ``None`` fails behind the last item."""
    handover = Handover[int](most)

    def fail() -> None:
        with handover.taking(0) as items:
            for number, _ in enumerate(items):
                if number == at:
                    break
            raise OSError("no space left on device")

    def fill_both() -> None:
        fill(handover, 0, [1, 2, 3])
        wait_until(first.done, DEADLINE)
        fill(handover, 1, [4])

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(fail), pool.submit(taken, handover, 1)
        with pytest.raises(OSError, match="no space"):
            fill_both()
        for failed in (first, second, pool.submit(taken, handover, 2)):
            assert str(failed.exception(DEADLINE)) == "no space left on device"
