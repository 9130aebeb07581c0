"""Shows on standard error how a job goes on."""

import contextlib
import sys
from typing import Any, NoReturn, Self

from tqdm import tqdm

from indexer.commands.console.output import tell
from indexer.jobs.reporter import Reporter


class _Tolerant:
    """Standard error for a progress bar, which goes on when the stream is closed."""

    def write(self, text: str) -> int:
        with contextlib.suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


class Bar:
    """A progress bar, and lines beside it; a context, at whose end it is closed.

    The job goes on even if standard error is closed.
    """

    def __init__(self, does: str = "indexing", unit: str = "image") -> None:
        self._does, self._unit = does, unit
        self._bar: tqdm[NoReturn] | None = None
        self.reporter = Reporter(self._stage, self._total, self._progress, self._left_out, self._note)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _total(self, images: int) -> None:
        self._bar = tqdm(total=images, unit=self._unit, desc=self._does, file=_Tolerant())

    def _progress(self, images: int) -> None:
        if self._bar is not None:
            self._bar.update(images)

    def step(self, done: int, total: int) -> None:
        """Show that so many of the images are done."""
        if self._bar is None:
            self._total(total)
        if self._bar is not None:
            self._bar.update(done - self._bar.n)

    def _stage(self, text: str) -> None:
        self.close()
        tell(f"deriving {text}")

    def _left_out(self, images: int) -> None:
        tell(f"left out: {images} images that were removed; --again PATH takes them in")

    def _note(self, text: str) -> None:
        tell(f"unitscope: {text}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
