"""Other people's code runs here, and an exception that it raises becomes one line."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

from indexer.errors import UnitscopeError, UserCodeFailed

_LENGTH: Final = 300
_OURS: Final = str(Path(__file__).parents[1])
_LIBRARIES: Final = (f"{Path(torch.__file__).parent.parent}/", f"{Path(traceback.__file__).parent}/", "<")


@contextmanager
def of_user(subject: str, hint: str = "") -> Iterator[None]:
    """Within it, an exception of somebody's code becomes a `UserCodeFailed`.

    Parameters
    ----------
    subject : str
        Whose code it is; the line begins with it.
    hint : str
        Advice, if there is any.

    Raises
    ------
    UserCodeFailed
        With the exception's type and message, and the line of their code that it comes from. Unitscope's own errors and
        a lack of memory pass as they are.
    """
    try:
        yield
    except (UnitscopeError, MemoryError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:  # a factory that reads the command line may end the process
        if "allocate memory" in str(error):
            raise
        raise UserCodeFailed(f"{subject} raises {described(error)}{'; ' if hint else ''}{hint}") from error


def described(error: BaseException) -> str:
    """An exception on one line: its type, its message, and the line of its author's code that raised it."""
    text = " ".join(str(error).split())
    shown = text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"
    where = _line_of_code(error)
    return f"{type(error).__name__}{': ' if shown else ''}{shown}{f' ({where})' if where else ''}"


def _line_of_code(error: BaseException) -> str:
    """File and line of the innermost frame that is neither ours nor a library's; "" where there is none."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, *_LIBRARIES)) and frame.filename != sys.argv[0]
    ]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    return frames[-1] if frames else ""
