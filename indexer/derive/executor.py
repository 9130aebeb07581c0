"""Who does the parts of a derivation: this process, or the workers of an engine.

A part is a pure function of picklable arguments that reads shards and the image table and gives arrays. So it does not
matter where it is done, or how often; what it gives is put together by the one process that derives.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from indexer.store.storage import Location


@runtime_checkable
class Executor(Protocol):
    """Does parts; an engine may be one as well."""

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """What ``function`` gives for each task's arguments, with the task's number; in any order.

        Few results wait at a time for whoever iterates.
        """

    def sharing(self, file: Path, folder: Location) -> contextlib.AbstractContextManager[Location]:
        """Where parts find a file of this process; ``folder`` is where to put a copy, if it must be in a bucket."""


class LocalExecutor:
    """This process; a part uses all of its cores by itself."""

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        return ((number, function(*task)) for number, task in enumerate(tasks))

    def sharing(self, file: Path, folder: Location) -> contextlib.AbstractContextManager[Path]:
        return contextlib.nullcontext(file)


def in_order(results: Iterable[tuple[int, Any]]) -> Iterator[Any]:
    """Results of `Executor.run` by number; those that come early wait."""
    early: dict[int, Any] = {}
    following = 0
    for number, result in results:
        early[number] = result
        while following in early:
            yield early.pop(following)
            following += 1


def runs(count: int, size: int) -> list[tuple[int, int]]:
    """``count`` things in runs of at most ``size``: first and end of each."""
    return [(first, min(first + size, count)) for first in range(0, count, size)]
