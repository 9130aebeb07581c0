"""How long an answer may be kept, and how a client finds out whether its copy is still current.

ETags are weak: they name a state, which may be sent in several codings, or be drawn by libraries of other versions.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

from flask import Request, Response
from werkzeug.http import quote_etag

from service.http.lru import LRU

REVALIDATE: Final = "no-cache"
FOR_EVER: Final = "max-age=31536000, immutable"
NEVER: Final = "no-store"


def tag(*parts: Any) -> str:
    """A digest of strings, numbers, None and containers of them."""
    return digest(*parts).hexdigest()


def digest(*parts: Any) -> hashlib.blake2b:
    return hashlib.blake2b(repr(parts).encode(errors="surrogatepass"), digest_size=12)


@dataclass(frozen=True, slots=True)
class Tagged:
    """What a client was told of a picture: its tag, how long it may be kept, and for which opening of an index."""

    etag: str
    control: str
    serial: int


Tags = LRU[Tagged]
"""The pictures told of last, by a digest of how each was asked for."""


def known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this state. ``*`` is for `finish`: it asks whether there is anything."""
    return not request.if_none_match.star_tag and request.if_none_match.contains_weak(etag)


def not_modified(etag: str, control: str) -> Response:
    """The answer to a client that has it already."""
    return Response(status=304, headers=[("ETag", quote_etag(etag, weak=True)), ("Cache-Control", control)])


def finish(request: Request, response: Response, etag: str, control: str) -> Response:
    """Tag an answer."""
    if request.if_none_match.star_tag or known(request, etag):
        return not_modified(etag, control)
    response.headers["ETag"] = quote_etag(etag, weak=True)
    response.headers["Cache-Control"] = control
    return response
