"""The part that all processes share that the supervisor starts."""

import contextlib
import os
import socket
import sys
from dataclasses import dataclass

from service.processes.descriptors import raise_limit
from service.settings import Settings
from service.telemetry import logs, metrics
from service.telemetry.metrics import PROCESS


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
        with contextlib.suppress(OSError):  # the supervisor is gone, or has not listened for long: `cut` tells which
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
    """The things that a child gets from its supervisor.

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
    raise_limit()
    logs.configure(settings.log_level, os.environ[PROCESS])
    return Inherited(Lifeline(lifeline), [socket.socket(fileno=number) for number in listening], network, settings)
