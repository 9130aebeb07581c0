"""Sockets that several processes accept connections from."""

import errno
import os
import socket
from collections.abc import Sequence
from typing import Any, Final

BACKLOG: Final = 1024
Address = tuple[Any, ...]
"""As `socket.getaddrinfo` gives it: the host, the port, and with IPv6 two numbers more."""
_LONGEST_PATH: Final = 107
"""Bytes of the path of a Unix socket (sun_path, less its zero)."""
_NOT_HERE: Final = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
_CAUSES: Final = {
    errno.EADDRINUSE: "is in use already; --port names another, and 0 takes a free one",
    errno.EACCES: "may not be listened on by this user; --port names another, ports from 1024 on are free to all",
    errno.EADDRNOTAVAIL: "is not an address of this machine; --host names one, 0.0.0.0 stands for all",
    errno.EAFNOSUPPORT: "is of a kind of address that this machine does not have; --host names another",
}


class CannotListen(OSError):
    """An address that cannot be listened on; the message names it and says why."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at every address that a host name stands for and that this machine has.

    Raises
    ------
    CannotListen
        There is no such address, or it is taken.
    """
    sockets: list[socket.socket] = []
    missing: CannotListen | None = None
    for family, address in _resolved(host, port):
        try:
            sockets.append(_listening(family, address))
        except OSError as error:
            cause = _CAUSES.get(error.errno or 0, f"cannot be listened on ({error.strerror})")
            problem = CannotListen(f"{_shown(*address[:2])} {cause}")
            if error.errno not in _NOT_HERE:
                for listening in sockets:
                    listening.close()
                raise problem from error
            missing = problem  # as ::1 of localhost where there is no IPv6
    if missing and not sockets:
        raise missing
    return sockets


def _resolved(host: str, port: int) -> list[tuple[socket.AddressFamily, Address]]:
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
        cause = getattr(error, "strerror", None) or "it is not the name of a host"
        raise CannotListen(f"--host {host!r} leads to no address: {cause}") from error
    return list(dict.fromkeys((family, address) for family, _, _, _, address in resolved))


def _listening(family: socket.AddressFamily, address: Address) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
    except BaseException:
        listening.close()
        raise
    return listening


def fits(path: str) -> bool:
    """Whether a socket may have this path."""
    return len(os.fsencode(path)) <= _LONGEST_PATH


def addresses(sockets: Sequence[socket.socket]) -> list[str]:
    """The URLs that listening sockets are reached at."""
    return [f"http://{_shown(*listening.getsockname()[:2])}/" for listening in sockets]


def _shown(host: str, port: int) -> str:
    return f"{f'[{host}]' if ':' in host else host}:{port}"


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
