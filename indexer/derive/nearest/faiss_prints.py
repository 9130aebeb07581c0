"""FAISS prints to the standard output, which belongs to the command."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_OUTPUT = 1


@contextmanager
def unprinted() -> Iterator[None]:
    """Within it, nothing that this process prints arrives; FAISS knows no other way to be silent."""
    c_library = ctypes.CDLL(None)
    c_library.fflush(None)
    kept, nowhere = os.dup(_STANDARD_OUTPUT), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STANDARD_OUTPUT)
    try:
        yield
    finally:
        c_library.fflush(None)  # what is not written yet would be printed afterwards
        os.dup2(kept, _STANDARD_OUTPUT)
        os.close(kept)
        os.close(nowhere)
