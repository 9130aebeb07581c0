"""Lets a command survive a standard output or standard error that is closed, full or in ASCII."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TextIO

from indexer.commands.console.failures import system_line
from indexer.images import remarks

_CLOSED = 141
"""The status that a shell reports for a program that writes into a closed pipe."""


def guarded(run: Callable[[], int]) -> tuple[int, bool]:
    """Run a command. Names print whatever bytes they hold, and an error of the system is a line, not a traceback.

    If the reader of a pipe has closed it, as ``head`` does, the command ends silently.

    Returns
    -------
    (int, bool)
        The status to end with, and whether all files could be written.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # the stream may be somebody else's object
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    _said.clear()
    with _hooks(), contextlib.redirect_stdout(_Output(sys.stdout)):
        try:
            status = run()
            sys.stdout.flush()
            return status, True
        except _OutputRefused as refused:
            return _say_refused(refused.error), True
        except (OSError, RuntimeError) as error:
            line = system_line(error) or (str(error) if isinstance(error, OSError) else None)
            if line is None:
                raise
            tell(f"unitscope: {line}")
            return 1, False


class _OutputRefused(Exception):
    """Standard output refused a text."""

    def __init__(self, error: OSError) -> None:
        super().__init__(error)
        self.error = error


class _Output:
    """Standard output, with errors of a kind of their own, so that they are not taken for those of files."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _OutputRefused(error) from error

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            raise _OutputRefused(error) from error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def leave_at_once(status: int) -> None:
    """End the process without tearing it down: HDF5 would crash at the end if it could not write one of its files."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _say_refused(error: OSError) -> int:
    _discard(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return _CLOSED
    tell(f"unitscope: standard output: {error.strerror}")
    return 1


@contextlib.contextmanager
def _hooks() -> Iterator[None]:
    previous = warnings.showwarning, sys.unraisablehook, sys.excepthook
    warnings.showwarning, sys.unraisablehook, sys.excepthook = _say_warning, _pass_unraisable, _pass_printed
    try:
        yield
    finally:
        warnings.showwarning, sys.unraisablehook, sys.excepthook = previous


# Errors that nobody can catch: HDF5 raises them when it lets go of a file that it could not write. The cause has been
# told by then.


def _pass_unraisable(raised: Any) -> None:
    if raised.exc_value is None or system_line(raised.exc_value) is None:
        sys.__unraisablehook__(raised)


def _pass_printed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if system_line(error) is None:
        sys.__excepthook__(kind, error, trace)


def tell(text: str) -> None:
    """Print a line on standard error; do nothing if it is closed or full."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Drop the text that is still to be written. Otherwise Python would complain when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


_LOCK = threading.Lock()
_said: set[str] = set()


def _say_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Tell a warning in one line, each text once. A warning about an image that is being decoded names the image."""
    if category.__name__ == "DecompressionBombWarning":  # `read_picture` refuses such an image, or it is allowed
        return
    text, image = " ".join(str(message).split()), remarks.image()
    with _LOCK:
        if text in _said:
            return
        _said.add(text)
    if image is None:
        tell(f"unitscope: {text}")
    else:
        tell(f"unitscope: {image}: {text} (the image is used as far as it can be read; others like it are not named)")
