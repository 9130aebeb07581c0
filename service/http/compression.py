"""Texts, compressed as the client accepts it. Pictures are compressed already.

An answer's ETag is weak, so it names the same state in every coding.
"""

import gzip
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import zstandard
from flask import Request, Response
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

SMALLEST: Final = 860
"""Bytes below which the headers would cost more than is saved: what still fits one packet is sent as it is."""
_ZSTD_LEVEL: Final = 3
_GZIP_LEVEL: Final = 5

_own = threading.local()


def _zstd(data: bytes) -> bytes:
    if not hasattr(_own, "compressor"):  # not to be shared between threads
        _own.compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL)
    compressor: zstandard.ZstdCompressor = _own.compressor
    return compressor.compress(data)


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, _GZIP_LEVEL, mtime=0)


CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {"zstd": _zstd, "gzip": _gzip}
"""The better first."""


@lru_cache(maxsize=256)
def chosen(accept_encoding: str) -> str | None:
    """The coding for a value of ``Accept-Encoding``, None for none."""
    accepted = parse_accept_header(accept_encoding, Accept)
    qualities = {coding: accepted.quality(coding) for coding in CODINGS}
    best = max(qualities, key=lambda coding: qualities[coding])
    return best if qualities[best] > 0 else None


def compress(request: Request, response: Response) -> None:
    """Compress an answer in place where that helps."""
    media_type = response.mimetype or ""
    if media_type.startswith("image/") and media_type != "image/svg+xml":
        return
    if "Vary" in response.headers:
        response.vary.add("Accept-Encoding")
    else:  # as nearly always, and far quicker
        response.headers.add("Vary", "Accept-Encoding")
    wanted = request.headers.get("Accept-Encoding")
    if not wanted or response.direct_passthrough or len(response.get_data()) < SMALLEST:
        return
    coding = chosen(wanted[:1000])
    if coding is not None:
        response.set_data(CODINGS[coding](response.get_data()))
        response.headers["Content-Encoding"] = coding
