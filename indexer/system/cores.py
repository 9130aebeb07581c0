"""How many cores of a machine are this process's. It imports nothing large: the service's parent asks it too."""

import os
from pathlib import Path
from typing import Final

_CGROUP: Final = Path("/sys/fs/cgroup/cpu.max")


def usable_cores() -> int:
    """The cores that this process may use, by its affinity and the limit of its container."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = _CGROUP.read_text().split()
        return min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):  # no cgroup, or "max": no limit
        return cores


def cores() -> int:
    """How many cores this process is to use: those that it may have, fewer if ``OMP_NUM_THREADS`` says so.

    Workers of a cluster that share a machine are told by it how many each of them has.
    """
    granted = usable_cores()
    told = os.environ.get("OMP_NUM_THREADS", "")
    return min(granted, int(told)) if told.isdecimal() and int(told) else granted
