"""Sockets that several processes accept connections from."""

import socket
from collections.abc import Sequence
from typing import Final

BACKLOG: Final = 1024


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address that a host name stands for.

    Raises
    ------
    OSError
        There is no such address, or it is taken.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(listening := socket.socket(family, kind, protocol))
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(BACKLOG)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets


def addresses(sockets: Sequence[socket.socket]) -> list[str]:
    """The URLs that listening sockets are reached at."""
    names = [listening.getsockname()[:2] for listening in sockets]
    return [f"http://{f'[{host}]' if ':' in host else host}:{port}/" for host, port in names]


def listen_at(path: str, queue: int) -> socket.socket:
    """A socket at a path, of which so many connections wait to be accepted; `BlockingIOError` sends others away.

    Raises
    ------
    OSError
        It cannot be made there.
    """
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(queue - 1)  # one more than that may wait (Linux, unix_recvq_full)
    return listening
