"""Turns an error of the system into one line: the file, the cause, and what to do."""

import errno
import os
import re
from typing import Final

from indexer.store.durable import PARTIAL_SUFFIX

_HINTS: Final = {
    errno.ENOSPC: "the disk is full: make room there",
    errno.EDQUOT: "your share of the disk is used up: make room there, or have it enlarged",
    errno.EFBIG: "a file may not become that large there (ulimit -f)",
    errno.EROFS: "nothing can be written there",
    errno.EIO: "the disk may be failing",
    errno.EMFILE: "too many files are open: ulimit -n allows more",
}
_RESUMES: Final = "then the same command goes on where it stopped"
_HDF5_ERRNO: Final = re.compile(r"errno = (\d+)")
_HDF5_FILE: Final = re.compile(r"filename = '([^']*)'")
_PARTIAL: Final = re.compile(r"\.[0-9a-f]{8}" + re.escape(PARTIAL_SUFFIX) + r"(?=/|$)")


def system_line(error: BaseException) -> str | None:
    """A line about an error of the system, whichever library raised it; None for other errors."""
    number = _errno_of(error)
    if number is None:
        return None
    file = _file_of(error)
    cause = os.strerror(number)
    line = f"{file}: {cause}" if file else f"a file cannot be written or read: {cause}"
    hint = _HINTS.get(number)
    return f"{line}; {hint}, {_RESUMES}" if hint else line


def _errno_of(error: BaseException) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if not isinstance(error, (OSError, RuntimeError)):
        return None
    if match := _HDF5_ERRNO.search(str(error)):
        return int(match[1])
    return next((number for number in _HINTS if os.strerror(number) in str(error)), None)


def _file_of(error: BaseException) -> str | None:
    file = getattr(error, "filename2", None) or getattr(error, "filename", None)
    if file is None and (match := _HDF5_FILE.search(str(error))):
        file = match[1]
    return None if file is None else _PARTIAL.sub("", os.fsdecode(file) if isinstance(file, bytes) else str(file))
