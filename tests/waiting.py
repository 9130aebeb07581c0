"""Waiting for what happens in another thread or process."""

import time
from collections.abc import Callable
from typing import TypeVar

SECONDS = 60
T = TypeVar("T")


def wait_until(condition: Callable[[], T], seconds: float = SECONDS) -> T:
    """Give the first true value of a condition; fails where none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.02)
    return value
