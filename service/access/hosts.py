"""Under which names a service is reached, and which pages may change something there.

A page of a stranger can make a browser send requests to a service that only the browser's owner reaches. Its address
need not be that of the page: by DNS rebinding, a name of the stranger's leads to the service. So a request that may
change something must name a host that is known. If a browser names the origin of its page, that must be the service's
own or one of the settings. An address is always known, for no stranger can make a name of it.
"""

from typing import Final
from urllib.parse import urlsplit

from flask import Request

from service.access.addresses import is_address
from service.errors import HostUnknown
from service.settings import Settings

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Hosts:
    """The hosts and origins that are known to a service.

    Parameters
    ----------
    settings : Settings
        Of which ``host``, ``hosts`` and ``origins`` count.
    """

    def __init__(self, settings: Settings) -> None:
        self._names = {"localhost", settings.host.lower(), *(name for name in settings.hosts if "*" not in name)}
        self._endings = (".localhost", *(name[1:] for name in settings.hosts if name.startswith("*.")))
        self._any = "*" in settings.hosts
        self._named = set(settings.hosts)
        self._origins = frozenset(settings.origins)

    def check(self, request: Request) -> None:
        """Let a request pass that changes nothing, or comes by a known name and from a known page.

        Raises
        ------
        HostUnknown
        """
        if request.method in READING:
            return
        host, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not self._knows(_split(f"//{host}")[0]):
            raise HostUnknown(
                f"this service does not answer {request.method} under the name {host[:100]!r}; use its address, or let "
                "--hosts name it"
            )
        if origin is not None and not self._is_own(origin, host):
            raise HostUnknown(
                f"pages of {origin[:100]!r} may not send {request.method} here; --origins names those that may"
            )

    def _knows(self, name: str) -> bool:
        return self._any or name in self._names or name.endswith(self._endings) or is_address(name)

    def _is_own(self, origin: str, host: str) -> bool:
        if origin in self._origins:
            return True
        scheme = origin.partition(":")[0]
        name, port = _split(origin)
        if scheme not in _DEFAULT_PORTS or not name:
            return False
        # A proxy may hand on another Host than the browser's; then the name has to be among the settings.
        return (name, port) == _split(f"{scheme}://{host}") or name in self._named or self._ends_as_named(name)

    def _ends_as_named(self, name: str) -> bool:
        return any(name.endswith(ending) for ending in self._endings[1:])


def _split(url: str) -> tuple[str, int | None]:
    """The host's name and its port."""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "").rstrip("."), parts.port or _DEFAULT_PORTS.get(parts.scheme)
    except ValueError:
        return "", None
