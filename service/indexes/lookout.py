"""Looking again, from time to time, at something that changes elsewhere."""

import threading
import time
from collections.abc import Callable


class Lookout:
    """One thread looks; the others go on with what is known. Safe from any thread.

    Parameters
    ----------
    look : callable () -> float
        Looks, and gives the seconds after which the next look is due. Never called by two threads at a time. Where it
        raises, the next look is due at once.
    """

    def __init__(self, look: Callable[[], float]) -> None:
        self._look = look
        self._looking = threading.Lock()
        self._due_at = 0.0

    def look_if_due(self, *, wait: bool) -> None:
        """Look if it is time to. Where another thread is looking, ``wait`` says whether to wait for it."""
        if self._is_due() and self._looking.acquire(blocking=wait):
            try:
                if self._is_due():  # the other may have looked meanwhile
                    self._look_now()
            finally:
                self._looking.release()

    def look(self) -> None:
        """Look now, after any thread that is looking."""
        with self._looking:
            self._look_now()

    def _is_due(self) -> bool:
        return time.monotonic() >= self._due_at

    def _look_now(self) -> None:
        seconds = self._look()
        self._due_at = time.monotonic() + seconds
