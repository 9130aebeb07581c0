"""Executors run the parts of a derivation: in this process, or on the workers of an engine.

A part is a pure function of picklable arguments. It reads shards and the image table and returns arrays. So it does not
matter where a part runs, or how often. One process, which derives the generation, puts the results together.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from indexer.store.storage import Location


@runtime_checkable
class Executor(Protocol):
    """Runs parts. An engine may be an executor too."""

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """Call ``function`` with each task's arguments; yield each task's number and result, in any order.

        Only a few results wait at a time for the caller to take them.
        """

    def sharing(self, file: Path, folder: Location) -> contextlib.AbstractContextManager[Location]:
        """The path at which parts find a file of this process. A copy that must be in a bucket goes to ``folder``."""


class LocalExecutor:
    """Runs parts in this process, one after the other; each part uses all cores."""

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        return ((number, function(*task)) for number, task in enumerate(tasks))

    def sharing(self, file: Path, folder: Location) -> contextlib.AbstractContextManager[Path]:
        return contextlib.nullcontext(file)


def in_order(results: Iterable[tuple[int, Any]]) -> Iterator[Any]:
    """Results of `Executor.run` in the order of their tasks; results that come early wait."""
    early: dict[int, Any] = {}
    next_number = 0
    for number, result in results:
        early[number] = result
        while next_number in early:
            yield early.pop(next_number)
            next_number += 1


def runs(count: int, size: int) -> list[tuple[int, int]]:
    """Split the numbers below ``count`` into runs of at most ``size``: the first and the end of each."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
