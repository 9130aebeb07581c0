"""What an answer may be kept for, and how a client finds out that what it has is still right.

ETags are weak: they name a state, which may be sent in several codings, or be drawn by libraries of other versions.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from flask import Request, Response
from werkzeug.http import quote_etag

from indexer.query.index import Index
from indexer.query.records import ImageRecord
from service.http.lru import Kept

REVALIDATE: Final = "no-cache"
FOR_EVER: Final = "max-age=31536000, immutable"
NEVER: Final = "no-store"
PICTURE_FORMAT: Final = 3
"""Count up when the same request for a picture gives other pixels than before."""


def tag(*parts: Any) -> str:
    """A digest of strings, numbers, None and containers of them."""
    return _digest(*parts).hexdigest()


def _digest(*parts: Any) -> hashlib.blake2b:
    return hashlib.blake2b(repr(parts).encode(errors="surrogatepass"), digest_size=12)


@lru_cache(maxsize=4096)  # several links an item carry the same
def _of_picture(sha256: str, network: str) -> str:
    return tag(sha256, network, PICTURE_FORMAT)


@lru_cache(maxsize=4096)  # of a page of patches all are of one neuron
def _of_scale(network: str, layer: str, neuron: int, maximum: float) -> hashlib.blake2b:
    """What `tag` does with these, before anything else is digested."""
    return _digest(network, PICTURE_FORMAT, layer, neuron, maximum)


@dataclass(frozen=True)
class Versions:
    """The versions of an index's pictures, as links carry them.

    Attributes
    ----------
    index : Index
    network : str
        Digest of the index's configuration.
    state : str
        Digest of the index's generation.
    """

    index: Index
    network: str
    state: str

    def of_patch(self, image: ImageRecord) -> str:
        """Changes with what decides how a patch looks: the file, the network, and how patches are drawn."""
        return _of_picture(image.sha256, self.network)

    def of_sheet(self) -> str:
        """Changes with every generation: others may be the top patches then."""
        return tag(self.state, PICTURE_FORMAT)

    def of_heat(self, image: ImageRecord, layer: str, neuron: int) -> str:
        """Changes also with a neuron's maximum in the index, on the scale of which its map is shown."""
        maximum = float(self.index.layer(layer).statistics["maximum"][neuron])
        own = _of_scale(self.network, layer, neuron, maximum).copy()
        own.update(image.sha256.encode())
        return own.hexdigest()


@dataclass(frozen=True, slots=True)
class Tagged:
    """What was said of a picture: its tag, for how long it may be kept, and of which opening of an index that holds."""

    etag: str
    control: str
    opening: int


Tags = Kept[Tagged]
"""What was said last of so many pictures, by a digest of how each was asked for."""


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
