"""Image files -> the network's input pixels, decoded ahead in several processes.

Python's lock is held for a quarter of the time that decoding takes, so threads of one process decode some 2,000 images
a second at most. Processes decode as many as there are cores for; their pixels come through memory that is shared, and
this process only copies them.
"""

import contextlib
import mmap
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from itertools import cycle, islice
from multiprocessing import connection, get_context, parent_process

import numpy as np

from indexer.errors import EngineUnavailable
from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.images.remarks import decoding
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode, in_order
from indexer.shards.records import IndexedImage
from indexer.store.storage import Location

_AT_ONCE = 8
"""Images of one task: fewer would cost this process more, more would let a process wait for its last ones."""
_TASKS_A_PROCESS = 3
"""Tasks that wait or run for each process."""
Numbered = tuple[int, ImageFile]


@dataclass(frozen=True)
class Work:
    """What a process needs to know to decode images into shared memory.

    Attributes
    ----------
    memory : str
        The path of a file that holds ``shape`` of uint8: places, images in each, and the pixels of an input.
    """

    root: Location
    preprocessing: Preprocessing
    keep: bool
    max_pixels: int
    memory: str
    shape: tuple[int, int, int, int, int]


@dataclass(frozen=True)
class Told:
    """What a process tells of an image: its record, or why it cannot be used, and what libraries warned of."""

    image: IndexedImage | Skipped
    warned: list[tuple[str, type[Warning]]]


def decode_in_processes(
    root: Location, images: Iterable[Numbered], preprocessing: Preprocessing, keep: bool, processes: int,
    max_pixels: int,
) -> Generator[Decoded | Skipped]:  # fmt: skip
    """Decode images in order, as `indexer.jobs.pipeline.decode.decode_ahead` does, in so many processes.

    Raises
    ------
    EngineUnavailable
        A process was ended from outside, as when memory runs out.
    """
    size, places = preprocessing.input_size, processes * _TASKS_A_PROCESS
    shape = (places, _AT_ONCE, size.height, size.width, size.channels)
    with _shared_memory(int(np.prod(shape))) as memory, _pool(processes) as pool:
        work = Work(root, preprocessing, keep, max_pixels, memory, shape)
        pixels, remaining = _mapped(memory, shape), iter(images)
        tasks = zip(cycle(range(places)), iter(lambda: list(islice(remaining, _AT_ONCE)), []))
        started = (pool.submit(_decode_some, work, place, some) for place, some in tasks)
        try:
            # A place is used again when the caller has taken its images: one task fewer than places is ahead.
            for place, told in zip(cycle(range(places)), in_order(started, places - 1)):
                for row, each in enumerate(told):
                    _warn_again(each)
                    if isinstance(each.image, Skipped):
                        yield each.image
                    else:
                        yield Decoded(each.image, pixels[place, row].copy())
        except BrokenProcessPool as error:
            raise EngineUnavailable(
                "a process that decodes images was ended from outside, perhaps because memory ran out; run this again, "
                "with fewer --decoders"
            ) from error


def _warn_again(told: Told) -> None:
    with decoding(told.image.path):
        for text, category in told.warned:
            warnings.warn(text, category, stacklevel=2)


@contextlib.contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that know nothing of this one; with an error, what they have not begun is left undone."""
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _shared_memory(size: int) -> Iterator[str]:
    """The path of a file of this size that other processes can map, in memory where the system has such files.

    Not ``multiprocessing.shared_memory``: a container has 64 MB of it unless told otherwise, and who writes more is
    killed.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("unitscope-decoded")
        path = f"/proc/{os.getpid()}/fd/{descriptor}"
    else:
        descriptor, path = tempfile.mkstemp(prefix="unitscope-decoded-")
    try:
        os.truncate(descriptor, size)
        yield path
    finally:
        os.close(descriptor)
        if not hasattr(os, "memfd_create"):
            os.unlink(path)


def _mapped(path: str, shape: tuple[int, ...]) -> np.ndarray:
    with open(path, "r+b") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0), np.uint8).reshape(shape)


_mapped_once = cache(_mapped)
"""For a process that decodes: it maps the memory at its first task."""


def _begin() -> None:
    """What a process does first: leave Ctrl-C to the one that started it, and end where that one ends, however."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _decode_some(work: Work, place: int, images: list[Numbered]) -> list[Told]:
    """Decode images into a place of the shared memory."""
    told = []
    for pixels, (id, file) in zip(_mapped_once(work.memory, work.shape)[place], images, strict=False):
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            result = decode(work.root, id, file, work.preprocessing, work.keep, work.max_pixels)
        if isinstance(result, Decoded):
            pixels[:] = result.pixels
        image = result.image if isinstance(result, Decoded) else result
        told.append(Told(image, [(str(warning.message), warning.category) for warning in warned]))
    return told
