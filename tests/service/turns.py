"""An application whose network is asked over a socket, as in the processes of the service; a thread answers."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from service.app import create_app
from service.inference.loader import Networks
from service.inference.together import Together, serve_together
from service.processes.sockets import listen_at
from service.settings import Settings
from tests.service.conforming import ConformingClient


def one_by_one(networks: Networks) -> Callable[[Connection], None]:
    """Takes a turn as the network's process does, with no other at once."""
    together = Together(networks, 1)
    return lambda turn: serve_together(together, turn, lambda: None, contextlib.nullcontext)


@contextlib.contextmanager
def asking(index: Path, folder: Path, answer: Callable[[Connection], None]) -> Iterator[ConformingClient]:
    """A client of an application whose turns at the network are taken by a function in a thread."""
    address = str(folder / "n")
    listening = listen_at(address, 4)

    def take() -> None:
        while True:
            try:
                accepted, _ = listening.accept()
            except OSError:
                return
            with Connection(accepted.detach()) as connection, contextlib.suppress(OSError):
                answer(connection)

    thread = threading.Thread(target=take)
    thread.start()
    settings = Settings(directory=index, max_pixels=60_000, forward_wait=30.0, forward_seconds=30.0)
    app = create_app(settings, address)
    app.test_client_class = ConformingClient
    try:
        yield app.test_client()
    finally:
        app.close()
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        listening.close()
