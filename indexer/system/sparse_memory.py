"""Zeros that take memory only where something has been written."""

import contextlib
import math
import mmap

import numpy as np


def sparse_zeros(shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Zeros of this shape, in small pages that come from the system when they are first written.

    numpy asks for large pages, of which each written byte takes 2 MB: a table that few entries of are used would be in
    memory as a whole.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = mmap.mmap(-1, max(1, size), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # counted as the process's own
    if hasattr(mmap, "MADV_NOHUGEPAGE"):
        with contextlib.suppress(OSError):  # a system without large pages
            memory.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(memory, dtype, math.prod(shape)).reshape(shape)
