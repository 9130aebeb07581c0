"""Forward passes on their way to the shards that keep them: one bounded queue for all shards, in order.

1. ``handover = Handover(most)``.
2. One thread fills it, a part for each shard: ``with handover.filling(part):``, and in it ``handover.put(item)`` for
   each item.
3. For each part another thread takes: ``with handover.taking(part) as items:``, and in it ``for item in items:``.

A failure of either side reaches the other. Where the block that fills a part fails, its taker first gets the items that
were put before, and then the failure. Where a block that takes a part fails, every later `Handover.put` raises that
failure, and so does everyone who still takes.
"""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True)
class _End:
    """The mark behind the last item of a part; with the failure that cut the part short, if one did."""

    failure: BaseException | None = None


class Handover(Generic[Item]):
    """A queue between one thread that fills it and threads that take from it; see the module's description.

    Parameters
    ----------
    most : int
        How many items may wait. An item counts until its taker asks for the next one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._part = 0
        self._entries: deque[tuple[int, Item | _End]] = deque()
        self._failure: BaseException | None = None
        self._changed = threading.Condition()

    @contextmanager
    def filling(self, part: int) -> Iterator[None]:
        """Put a part's items within this block; its end is the end of the part."""
        self._part = part
        try:
            yield
        except BaseException as error:
            self._append(_End(error))
            raise
        self._append(_End())

    def put(self, item: Item) -> None:
        """Add an item to the part that is being filled; wait while too many are there.

        Raises
        ------
        BaseException
            The failure of a taker.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failure or len(self._entries) < self._most)
            self._raise_failure()
            self._append(item)

    @contextmanager
    def taking(self, part: int) -> Iterator[Iterator[Item]]:
        """Take a part's items within this block, once all items of the parts before are taken."""
        try:
            yield self._items(part)
        except BaseException as error:
            with self._changed:
                self._failure = self._failure or error
                self._changed.notify_all()
            raise

    def _items(self, part: int) -> Iterator[Item]:
        while not isinstance(item := self._first(part), _End):
            yield item
            self._remove_first()
        self._remove_first()
        if item.failure is not None:
            raise item.failure

    def _first(self, part: int) -> Item | _End:
        """The first entry of the queue, as soon as it is one of this part."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure or (self._entries and self._entries[0][0] == part))
            self._raise_failure()
            return self._entries[0][1]

    def _append(self, entry: Item | _End) -> None:
        with self._changed:
            self._entries.append((self._part, entry))
            self._changed.notify_all()

    def _remove_first(self) -> None:
        with self._changed:
            self._entries.popleft()
            self._changed.notify_all()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
