"""Pools of threads that compute on the cores of this process."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from indexer.system.cores import cores


@contextmanager
def torch_pool(threads: int, each: int = 1) -> Iterator[ThreadPoolExecutor]:
    """A pool of threads, each of which computes with torch on so many cores."""
    import torch  # here, because reading derived files needs no torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(each,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def in_threads(function: Callable[[Any], Any], batches: Sequence[Sequence[Any]]) -> Iterator[list[Any]]:
    """What a function gives for every item of each batch, on all cores; a batch is worked on ahead."""
    with torch_pool(cores()) as pool:
        waiting: Iterator[Any] | None = None
        for batch in batches:
            following = pool.map(function, batch)
            if waiting is not None:
                yield list(waiting)
            waiting = following
        if waiting is not None:
            yield list(waiting)
