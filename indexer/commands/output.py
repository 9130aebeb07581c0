"""Standard output and standard error as they really are: closed, full, in ASCII."""

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any, TextIO

from indexer.images import remarks

_CLOSED = 141
"""What a shell says of a program that writes into a closed pipe."""


def guarded(run: Callable[[], int]) -> int:
    """Run a command; names print whatever they hold, and output that nobody takes is no traceback.

    A pipe that was closed, as by ``head``, ends the command in silence; a file that is full in one line.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError):  # a stream of somebody else's
            stream.reconfigure(errors="backslashreplace")
    _said.clear()
    previous, warnings.showwarning = warnings.showwarning, _say_warning
    try:
        status = run()
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        _discard(sys.stdout)
        return _CLOSED
    except OSError as error:
        _discard(sys.stdout)
        tell(f"unitscope: standard output: {error.strerror}")
        return 1
    finally:
        warnings.showwarning = previous


def tell(text: str) -> None:
    """Print a line on standard error, if anybody takes it."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Let what is still to be written vanish, or Python complains when it ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


_LOCK = threading.Lock()
_said: set[str] = set()


def _say_warning(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
    """A warning in one line; one that decoders give of an image names it, and each kind is said once."""
    if category.__name__ == "DecompressionBombWarning":  # `read_picture` says it, or the image may be that large
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
