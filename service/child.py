"""What every process that the supervisor starts has in common."""

import contextlib
import os
import resource
import socket
import sys
from dataclasses import dataclass

from service import logs, metrics
from service.metrics import PLACE
from service.settings import Settings

_FILES = 1 << 16


class Lifeline:
    """The tie to the supervisor."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def beat(self) -> None:
        """Say that this process is alive."""
        with contextlib.suppress(OSError):  # nobody listens, or nobody has listened for long: `cut` tells
            self._socket.send(b".")

    def cut(self) -> bool:
        """Whether the supervisor is gone."""
        try:
            return self._socket.recv(1) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


@dataclass(frozen=True)
class Inherited:
    """What a child is told by its supervisor.

    Attributes
    ----------
    lifeline : Lifeline
    sockets : list of socket
        Those that its role listens on.
    network : str
        The path of the socket at which the network is asked.
    settings : Settings
    """

    lifeline: Lifeline
    sockets: list[socket.socket]
    network: str
    settings: Settings

    def close(self) -> None:
        """Let go of everything; the supervisor sees this process end."""
        metrics.close()
        self.lifeline.close()
        for listening in self.sockets:
            listening.close()


def inherit() -> Inherited:
    """Read the command line of a child, and set up its logs."""
    descriptors, network, *arguments = sys.argv[1:]
    lifeline, *listening = (int(number) for number in descriptors.split(","))
    settings = Settings.read(arguments)
    _open_many_files()
    logs.configure(settings.log_level, os.environ[PLACE])
    return Inherited(Lifeline(lifeline), [socket.socket(fileno=number) for number in listening], network, settings)


def _open_many_files() -> None:
    """Shards and connections may take more than the 1,024 files that are usual, which programs may raise themselves."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
