"""``python -m service.processes.inference_worker``: a process that runs the network; `service.processes.supervisor`
starts it.

It takes one turn at a time, or those that wait together, where uploads may share a pass. torch comes in while there is
nothing else to do, or else with the first upload. Uploads are decoded here: a file that brings a decoder down takes
nothing else along.
"""

import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final

from service.inference.encoding import TextEncoder
from service.inference.loader import Networks
from service.inference.together import Together, serve_together
from service.processes.child import Inherited, inherit
from service.processes.supervisor import BOOT_SECONDS
from service.telemetry import logs, metrics

TICK: Final = 1.0
"""Seconds between two signs of life."""


def main() -> int:
    """Take turns until told to end, or until the supervisor is gone."""
    given = inherit()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = given.settings
    encoder = TextEncoder(settings.encoder, settings.encoder_args)
    networks = Networks(settings.model, settings.weights, settings.max_pixels, settings.model_args, encoder)
    together = Together(networks, settings.forward_share)
    (listening,) = given.sockets
    listening.setblocking(False)
    preloaded = not settings.preload
    while not given.lifeline.cut():
        given.lifeline.beat()
        logs.sweep()
        readable, _, _ = select.select([listening.fileno(), given.lifeline.fileno()], [], [], TICK)
        if listening.fileno() in readable:
            _take(given, listening, together)
        elif not preloaded:  # the others have started, or nearly
            preloaded = True
            with _beating(given):
                networks.preload()
    given.close()
    return 0


@contextmanager
def _beating(given: Inherited) -> Iterator[None]:
    """Signs of life meanwhile, for as long as a process may take to start."""
    done = threading.Event()

    def beat() -> None:
        until = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < until and not done.wait(TICK):
            given.lifeline.beat()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _take(given: Inherited, listening: socket.socket, together: Together) -> None:
    first = _accepted(listening)
    if first is None:  # another process took it, or its worker is gone
        return

    @contextmanager
    def answering(question: str) -> Iterator[None]:
        given.lifeline.beat()
        with metrics.FORWARD_SECONDS.labels(question).time():
            yield

    serve_together(together, first, lambda: _accepted(listening), answering)


def _accepted(listening: socket.socket) -> Connection | None:
    """A turn that waits; None where none does."""
    try:
        accepted, _ = listening.accept()
    except OSError:
        return None
    accepted.setblocking(True)
    return Connection(accepted.detach())


if __name__ == "__main__":
    sys.exit(main())
