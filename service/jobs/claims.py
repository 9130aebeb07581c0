"""Who runs a job, and whether that process still lives.

The first process to create the claim runs the job. It holds a lock on the claim, which the system frees when the
process ends, and touches the progress file every few seconds. On the machine where it runs, the lock alone counts. From
another machine whose file system may not hand locks on, a process that was silent for long is taken for dead.
"""

import os
import socket
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

from indexer.store.atomic import creating
from service.jobs import locks, sealed

CLAIM: Final = "claim.json"
PROGRESS: Final = "progress.json"
SILENT_SECONDS: Final = 30.0
"""A process on another machine that has not touched its progress for so long is taken for dead."""


def take(folder: Path) -> int | None:
    """Claim a job; gives the descriptor that holds the claim until it is closed. None where it may not be run."""
    held = None
    claim = {"host": socket.gethostname(), "process": os.getpid(), "boot": _boot(), "started": time.time()}
    try:
        with creating(folder / CLAIM) as partial:
            partial.write_bytes(sealed.pack(claim))
            held = locks.hold(partial)  # before it has its name: nobody sees a claim that is not held
    except OSError as error:
        if held is not None:
            os.close(held)
        if isinstance(error, FileExistsError | FileNotFoundError):  # claimed, or deleted meanwhile
            return None
        raise
    return held


def is_alive(folder: Path, clock: Path) -> bool:
    """Whether the process that has claimed a job lives.

    Parameters
    ----------
    clock : Path
        A file on the same file system that may be touched, whose time is then that of the file system.
    """
    held = locks.is_held(folder / CLAIM)
    if held or (held is not None and read(folder).get("boot") == _boot()):
        return held
    return _silence(folder, clock) < SILENT_SECONDS


def read(folder: Path) -> dict[str, Any]:
    """Who has claimed a job, and when; empty where that cannot be told."""
    try:
        return sealed.read(folder / CLAIM) or {}
    except sealed.Damaged:
        return {}


def _silence(folder: Path, clock: Path) -> float:
    beat = 0.0
    for name in (CLAIM, PROGRESS):
        with suppress(OSError):
            beat = max(beat, os.stat(folder / name).st_mtime)
    clock.touch()
    return os.stat(clock).st_mtime - beat


@cache
def _boot() -> str:
    """The run of the system that this process belongs to."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return socket.gethostname()
