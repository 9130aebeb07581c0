"""``python -m service DIR``: answer questions about the indexes in a directory."""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from indexer.store.storage import storage_at
from indexer.system.cores import usable_cores
from service.jobs.folder import results_folder
from service.processes.sockets import addresses, fits, listen, listen_at
from service.settings import PROG, Settings
from service.telemetry import logs

Ready = Callable[[str], None]

SUPERVISOR: Final = "supervisor"
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Read once, when numpy, FAISS and torch are imported."""
HEARTBEAT_SECONDS: Final = 30.0
"""Seconds of silence after which a process that answers is replaced."""
_BEATS_SECONDS: Final = 3.0
"""What may pass between two signs of life of a process that has nothing to do, and to spare."""
_ARENAS: Final = {"MALLOC_ARENA_MAX": "2"}
"""glibc keeps a heap for each thread otherwise: a quarter more memory in each worker, for nothing that was measured."""
_MOST_WORKERS: Final = 8
NETWORK: Final = "network"
"""The name of the socket at which the network is asked."""
SHORT_PLACES: Final = ("/tmp", "/var/tmp", "/dev/shm")
"""Where sockets are put if the usual folder has too long a name for them."""

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None, prog: str = PROG, ready: Ready = lambda url: None) -> int:
    """Serve until told to end; the exit status is 2 where there is nothing to serve.

    Parameters
    ----------
    arguments : sequence of str, optional
        As on the command line; by default the process's own.
    prog : str
        How this command was called, for its help.
    ready : callable
        Gets the service's URL once it answers.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    settings = Settings.read(arguments, prog=prog)
    if storage_at(settings.directory).is_lost_folder():
        print(f"unitscope: there is no directory {settings.directory}", file=sys.stderr)
        return 2
    logs.configure(settings.log_level, SUPERVISOR)
    try:
        with _shared_folder() as folder:
            return _supervise(settings, arguments, Path(folder), ready)
    except OSError as error:
        print(f"unitscope: {error}", file=sys.stderr)
        return 2


def _shared_folder() -> tempfile.TemporaryDirectory[str]:
    """A new folder for what the processes share, where the path of a socket is not too long.

    Raises
    ------
    OSError
        No folder for temporary files can be used.
    """
    usual = tempfile.gettempdir()
    for place in (usual, *SHORT_PLACES):
        with contextlib.suppress(OSError):
            folder = tempfile.TemporaryDirectory(prefix="unitscope-", dir=place)
            if fits(str(Path(folder.name, NETWORK))):
                if place != usual:
                    log.warning("the path of TMPDIR is too long for a socket; temporary files are in %s", place)
                return folder
            folder.cleanup()
    raise OSError(
        f"no folder for temporary files can be used: sockets need a path of at most 107 bytes, {usual} is too long "
        f"or not writable, and so are {', '.join(SHORT_PLACES)}; set TMPDIR to a shorter one"
    )


def _supervise(settings: Settings, arguments: Sequence[str], folder: Path, ready: Ready) -> int:
    """Run the processes; ``folder`` holds what they share: counts, and the socket of the network."""
    os.environ |= {"PROMETHEUS_MULTIPROC_DIR": str(folder), "UNITSCOPE_PROCESS": SUPERVISOR}
    from service.processes.supervisor import Role, Supervisor  # with its metrics, which look at the environment once

    sockets = listen(settings.host, settings.port)
    address = str(folder / NETWORK)
    turns = listen_at(address, settings.forward_queue)
    environment = _ARENAS | thread_limits(os.environ, 1)
    roles = [
        Role("worker", "service.processes.request_worker", workers(settings), HEARTBEAT_SECONDS, sockets, environment),
        Role(
            "network", "service.processes.inference_worker", settings.forward_passes,
            settings.forward_seconds + _BEATS_SECONDS,
            [turns],
            environment | dict.fromkeys(THREAD_VARIABLES, str(settings.forward_threads)),
        ),
    ]  # fmt: skip

    if settings.jobs and results_folder(settings) is not None:
        behind = environment | dict.fromkeys(THREAD_VARIABLES, str(max(1, usable_cores() - 1)))
        roles.append(Role("jobs", "service.processes.job_worker", settings.jobs, HEARTBEAT_SECONDS, [], behind))

    def answering() -> None:
        urls = addresses(sockets)
        print(f"unitscope answers at {' and '.join(urls)} (end with Ctrl-C)", flush=True)
        ready(urls[0])

    supervisor = Supervisor(roles, [address, *arguments], settings.stop_seconds)
    return 0 if supervisor.run(answering) else 2


def thread_limits(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """An environment in which numpy, FAISS and torch use so many threads, unless it says already how many.

    Requests run side by side. With more threads each they would fight over the cores.
    """
    return dict.fromkeys(THREAD_VARIABLES, str(threads)) | dict(environment)


def workers(settings: Settings) -> int:
    """How many processes answer requests: as set, else one a core, at least 2 and at most 8."""
    return settings.workers or min(max(usable_cores(), 2), _MOST_WORKERS)


if __name__ == "__main__":
    sys.exit(main())
