"""A server of one process over a real socket, in a thread of the test's."""

import contextlib
import threading
from collections.abc import Iterator

from service.app import create_app
from service.processes.server import Server
from service.processes.sockets import listen
from service.settings import Settings

Address = tuple[str, int]


@contextlib.contextmanager
def running(settings: Settings) -> Iterator[tuple[Address, Server]]:
    """A server in a thread of this process, and where it listens."""
    app = create_app(settings)
    sockets = listen("127.0.0.1", 0)
    server = Server(app, settings, sockets)
    thread = threading.Thread(target=server.run, args=(lambda: None,))
    thread.start()
    try:
        yield sockets[0].getsockname(), server
    finally:
        server.stop()
        thread.join(timeout=60)
        app.close()
    assert not thread.is_alive()
