"""Below which path, and through which proxies, clients reach the service.

Anyone may send ``X-Forwarded-*`` headers, so they count only if one of the trusted proxies sent them; from others they
are taken away. The client is then the last address of ``X-Forwarded-For`` that is not a trusted proxy's: those before
it are as its sender wrote them.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from ipaddress import ip_network
from typing import Any, Final

from service.access.addresses import Address, Network, address_of
from service.settings import PREFIX

Environ = dict[str, Any]
Wsgi = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")
_FORWARDED: Final = "HTTP_X_FORWARDED_"


class Proxies:
    """Tells the application about its clients and its own path.

    Parameters
    ----------
    wsgi : callable
        The application.
    prefix : str
        The path below which clients find it, such as ``/tools/unitscope``; "" for none. A proxy may cut it off.
    trusted : sequence of str
        Networks of the proxies whose headers count.
    """

    def __init__(self, wsgi: Wsgi, prefix: str, trusted: Iterable[str]) -> None:
        self._wsgi = wsgi
        self._prefix = prefix
        self._trusted: tuple[Network, ...] = tuple(ip_network(network) for network in trusted)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        forwarded = {name: environ.pop(name) for name in list(environ) if name.startswith(_FORWARDED)}
        environ.pop("HTTP_FORWARDED", None)
        prefix = self._prefix
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            prefix = _believe(environ, forwarded) or prefix
            environ["REMOTE_ADDR"] = self._client(environ["REMOTE_ADDR"], forwarded.get(f"{_FORWARDED}FOR", ""))
        return self._below(prefix, environ, start_response)

    def _below(self, prefix: str, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not prefix:
            return self._wsgi(environ, start_response)
        path = environ.get("PATH_INFO", "")
        if path == prefix:  # its pages name others relative to themselves
            start_response("308 Permanent Redirect", [("Location", f"{prefix}/"), ("Content-Length", "0")])
            return [b""]
        environ["SCRIPT_NAME"] = prefix
        environ["PATH_INFO"] = path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
        return self._wsgi(environ, start_response)

    def _trusts(self, text: str) -> bool:
        address = address_of(text)
        return address is not None and any(address in network for network in self._trusted)

    def _client(self, peer: str, forwarded: str) -> str:
        client = peer
        for address in _from_the_last(forwarded):
            client = str(address)
            if not self._trusts(client):
                break
        return client


def _believe(environ: Environ, forwarded: Environ) -> str:
    """Take over the host and the scheme; the prefix, "" where there is none."""
    host, scheme, prefix = (forwarded.get(_FORWARDED + name, "") for name in ("HOST", "PROTO", "PREFIX"))
    if _HOST.fullmatch(host):
        environ["HTTP_HOST"] = host
    if scheme in ("http", "https"):
        environ["wsgi.url_scheme"] = scheme
    prefix = prefix.rstrip("/")
    return prefix if PREFIX.fullmatch(prefix) else ""


def _from_the_last(forwarded: str) -> Iterator[Address]:
    """The addresses of ``X-Forwarded-For``, up to the first text that is none."""
    for text in reversed(forwarded.split(",")):
        address = address_of(text.strip()) or address_of(_without_port(text.strip()))
        if address is None:
            return
        yield address


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0]
