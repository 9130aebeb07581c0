"""Code of other people's that runs here: whatever it raises becomes one line."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch

import indexer
from indexer.errors import InvalidRequest, UnitscopeError

_LENGTH: Final = 300
_OURS: Final = str(Path(indexer.__file__).parent)
_LIBRARIES: Final = (f"{Path(torch.__file__).parent.parent}/", f"{Path(traceback.__file__).parent}/", "<")


@contextmanager
def of_user(what: str, hint: str = "") -> Iterator[None]:
    """Within it, an exception of somebody's code becomes an `InvalidRequest`.

    Parameters
    ----------
    what : str
        Whose code it is: the subject of the line.
    hint : str
        What may help, if anything is known.

    Raises
    ------
    InvalidRequest
        With the exception's type and message, and the line of their code that it comes from. Errors of our own and a
        lack of memory are what they are.
    """
    try:
        yield
    except UnitscopeError as error:
        if len(error.args) == 1:  # an interpreter of torch's on the way adds lines of its own
            error.args = (str(error.args[0]).partition("\n")[0],)
        raise
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:  # a factory that reads the command line ends the process where it can
        if "allocate memory" in str(error) or _is_ours(error):
            raise
        raise InvalidRequest(f"{what} raises {described(error)}{'; ' if hint else ''}{hint}") from error


def described(error: BaseException) -> str:
    """An exception on one line: its type, what it says, and where in its author's code it was raised."""
    text = " ".join(str(error).split())
    shown = text if len(text) <= _LENGTH else f"{text[:_LENGTH]}…"
    where = _place(error)
    return f"{type(error).__name__}{': ' if shown else ''}{shown}{f' ({where})' if where else ''}"


def _is_ours(error: BaseException) -> bool:
    """Whether it was raised by what theirs called back: a hook of ours."""
    ours = [frame.filename.startswith(_OURS) for frame in traceback.extract_tb(error.__traceback__)]
    libraries = [frame.filename.startswith(_LIBRARIES) for frame in traceback.extract_tb(error.__traceback__)]
    last = next((mine for mine, library in zip(ours[::-1], libraries[::-1], strict=True) if mine or not library), False)
    return last and False in ours[: len(ours) - 1 - ours[::-1].index(True)]


def _place(error: BaseException) -> str:
    """File and line of the innermost frame that is neither ours nor a library's; "" where there is none."""
    frames = [
        f"{Path(frame.filename).name}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, *_LIBRARIES)) and frame.filename != sys.argv[0]
    ]
    if isinstance(error, SyntaxError) and error.filename:
        return f"{Path(error.filename).name}:{error.lineno}"
    return frames[-1] if frames else ""
