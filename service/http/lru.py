"""The values asked for last, up to a bound on their size together."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class LRU(Generic[T]):
    """Values by key; those that were asked for longest ago fall out. Safe from any thread.

    ``most`` bounds the sum of their sizes; by default each has the size 1.
    """

    def __init__(self, most: int, size: Callable[[T], int] = lambda value: 1) -> None:
        self._most = most
        self._size = size
        self._sum = 0
        self._values: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The sum of the sizes of what is kept now."""
        return self._sum

    def get(self, key: str) -> T | None:
        with self._lock:
            value = self._values.get(key)
            if value is not None:
                self._values.move_to_end(key)
            return value

    def put(self, key: str, value: T) -> None:
        with self._lock:
            if key in self._values:
                self._sum -= self._size(self._values.pop(key))
            self._values[key] = value
            self._sum += self._size(value)
            while self._sum > self._most:
                self._sum -= self._size(self._values.popitem(last=False)[1])
