"""What glibc is told about memory; another C library is left as it is."""

import contextlib
import ctypes

from indexer.system.cores import cores

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
"""What glibc's mallopt calls them."""


def keep_freed_memory() -> None:
    """Undo what Dask's nanny sets for its workers: ``MALLOC_TRIM_THRESHOLD_``.

    With it glibc gives all that is freed back at once, and never learns how large the blocks are that come again: every
    map of every batch would be pages fresh from the system, which takes as long as computing it. These are the
    thresholds that it comes to by itself.
    """
    _tell(_MMAP_THRESHOLD, 32 << 20)
    _tell(_TRIM_THRESHOLD, 64 << 20)


def share_heaps() -> None:
    """Let threads that start from now on share heaps, one a core: each keeps what is freed in one of its own else."""
    _tell(_ARENA_MAX, max(2, cores()))


def give_back_freed_memory() -> None:
    """Give the system what is free anywhere in the heaps; by itself glibc does so at their ends alone."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def _tell(parameter: int, value: int) -> None:
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(parameter, value)
