"""Functions that numba compiles, without the interpreter's lock.

The first call compiles; the compiled code is kept beside the function's file or in the user's cache folder for the
next process, where one of them can be written.
"""

from collections.abc import Callable
from typing import Any

import numba


class Compiled:
    """``function``, compiled at its first call, or taken from what an earlier process has kept."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        try:
            self._run = numba.njit(nogil=True, cache=True)(function)
        except RuntimeError:  # there is no folder in which the compiled code could be kept
            self._run = numba.njit(nogil=True)(function)

    def __call__(self, *arguments: Any) -> Any:
        try:
            return self._run(*arguments)
        except Exception:  # no loop here raises: what was kept cannot be read, or the disk is full
            self._run = numba.njit(nogil=True)(self._function)
            return self._run(*arguments)
