"""The shards of an index, with a bound on how many of their files are open at a time."""

import resource
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Self

from indexer.errors import DamagedFile
from indexer.shards.reader import Shard

_DESCRIPTORS = 16
"""Descriptors reserved for each open shard of an index. A shard takes two; the next generation is opened beside the
one that ends, which doubles them; and a service may hold four indexes."""
OPEN_FIRST = 128
"""How many shards are opened before anybody asks for them."""
_MOST = 1024
"""The most shards open at a time. An open shard takes up to a quarter of a megabyte; opening it again takes as long as
reading some ten maps."""
_USUAL = 1024
"""How many files a process may have open on most machines."""


def open_at_most() -> int:
    """How many shards of an index may be open at a time, given how many files this process may have open now."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if files == resource.RLIM_INFINITY:
        return _MOST
    fitting = max(1, files // _DESCRIPTORS)
    return min(_MOST, max(OPEN_FIRST, fitting) if files >= _USUAL else fitting)


class ShardPool:
    """Shards by their number in the manifest's list, opened when they are asked for. Thread-safe.

    A shard closes when others were asked for more recently and nobody holds it any longer. Asking for a shard raises
    the errors of opening it: `DamagedFile`, `StorageUnavailable`.

    Parameters
    ----------
    open_shard : callable
        Opens the shard of a number.
    count : int
        How many shards there are.
    at_most : int, optional
        How many are open at a time; by default `open_at_most`.
    """

    def __init__(self, open_shard: Callable[[int], Shard], count: int, at_most: int | None = None) -> None:
        self._open_shard, self._count = open_shard, count
        self._at_most = at_most or open_at_most()
        self._lock = threading.Lock()
        self._open: OrderedDict[int, Shard] = OrderedDict()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Shard]:
        return (self[number] for number in range(self._count))

    def __getitem__(self, number: int) -> Shard:
        if not 0 <= number < self._count:
            raise IndexError(number)
        with self._lock:
            if number in self._open:
                self._open.move_to_end(number)
                return self._open[number]
        shard = self._open_shard(number)
        with self._lock:
            shard = self._open.setdefault(number, shard)
            if len(self._open) > self._at_most:
                self._open.popitem(last=False)
            return shard

    def open_some(self) -> None:
        """Open the first shards now, as a newer generation may delete their files."""
        for number in range(min(self._count, OPEN_FIRST, self._at_most)):
            try:
                self[number]
            except DamagedFile:
                continue  # asking for this shard reports it; questions that need no maps are still answered

    def close(self) -> None:
        """Close the open shards."""
        with self._lock:
            for shard in self._open.values():
                shard.close()
            self._open.clear()
