"""Headers that tell browsers how to treat an answer, and which pages of other origins may read it (CORS)."""

import base64
import hashlib
from typing import Final

from flask import Request, Response

PAGE_POLICY: Final = "; ".join([
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data: blob:", "connect-src 'self'",
    "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
])  # fmt: skip
"""Content-Security-Policy of every answer but those that bring a style of their own."""

READABLE: Final = "ETag, Link, Retry-After, X-Request-Id, Location, Allow"
SENDABLE: Final = "Authorization, Content-Type, If-Match, If-None-Match, X-Request-Id"
METHODS: Final = "GET, HEAD, PUT, POST, DELETE"
PREFLIGHT_SECONDS: Final = "600"


def styled_policy(style: str) -> str:
    """The policy of a page without scripts whose one style element holds exactly this text."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    own = f"style-src 'sha256-{digest}'"
    return f"default-src 'none'; {own}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


class Browsers:
    """The headers, for pages of the service itself and of the origins named.

    Parameters
    ----------
    origins : tuple of str
        As browsers send them, ``https://host:port``. An origin that is not named may neither read answers nor show
        pictures.
    """

    def __init__(self, origins: tuple[str, ...]) -> None:
        self._origins = frozenset(origins)
        self._headers = (
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "cross-origin" if origins else "same-origin"),
        )

    def preflight(self, request: Request) -> Response | None:
        """The answer to a browser that asks whether a named origin may send a request; None to any other request."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if request.headers.get("Origin") not in self._origins:
            return None
        response = Response(status=204)
        response.headers["Access-Control-Allow-Methods"] = METHODS
        response.headers["Access-Control-Allow-Headers"] = SENDABLE
        response.headers["Access-Control-Max-Age"] = PREFLIGHT_SECONDS
        return response

    def finish(self, request: Request, response: Response) -> None:
        """Put the headers on an answer."""
        response.headers.extend(self._headers)  # nobody else sets these; looking for them first would be slower
        response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
        if self._origins:
            response.vary.add("Origin")
            origin = request.headers.get("Origin")
            if origin in self._origins:
                response.headers["Access-Control-Allow-Origin"] = origin
                response.headers["Access-Control-Expose-Headers"] = READABLE
