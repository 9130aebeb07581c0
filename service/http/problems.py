"""Every error -> one kind of body: problem details (RFC 9457)."""

import json
import logging
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from flask import Flask, Response, g, request
from PIL import UnidentifiedImageError
from werkzeug.exceptions import HTTPException

from indexer.errors import (
    DamagedFile,
    ImageRejected,
    ImageUnavailable,
    InvalidRequest,
    ModelUnavailable,
    NotAnIndex,
    NotFound,
    NotInstalled,
    StorageUnavailable,
    TookTooLong,
    UnitscopeError,
    UserCodeFailed,
)
from service.errors import (
    Busy,
    ContractViolation,
    GenerationReplaced,
    HostUnknown,
    IndexUnavailable,
    JobsUnavailable,
    LengthMissing,
    NotAllowed,
    NotAuthenticated,
    NotesUnavailable,
    OnlyFromHere,
    ResultGone,
    RevisionMissing,
    RevisionReplaced,
    TooManyRequests,
    TryLater,
    UnsupportedBody,
)

log = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:problem-type:unitscope:"
RETRY_INDEX_SECONDS: Final = 5
CHALLENGE: Final = 'Bearer realm="unitscope"'


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of problem: the last part of its type, its HTTP status and its title."""

    name: str
    status: int
    title: str


NOT_AUTHENTICATED = Kind("not-authenticated", 401, "A token is needed")
NOT_ALLOWED = Kind("not-allowed", 403, "The token may not be used for this")
HOST_UNKNOWN = Kind("host-unknown", 403, "The host or the origin is not known here")
ONLY_FROM_HERE = Kind("only-from-here", 403, "Only this machine may do this")
NOT_FOUND = Kind("not-found", 404, "Not found")
METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "Method not allowed")
IMAGE_CHANGED = Kind("image-changed", 409, "The original has changed")
GENERATION_REPLACED = Kind("generation-replaced", 409, "Another generation is served")
IMAGE_GONE = Kind("image-gone", 410, "The original is gone")
RESULT_GONE = Kind("result-gone", 410, "The result is of another generation")
LENGTH_REQUIRED = Kind("length-required", 411, "The length is missing")
REVISION_REPLACED = Kind("revision-replaced", 412, "Somebody has changed it meanwhile")
TOO_LARGE = Kind("too-large", 413, "Too large")
UNSUPPORTED = Kind("unsupported-media-type", 415, "Unsupported media type")
INVALID = Kind("invalid-request", 422, "Invalid request")
REJECTED = Kind("image-rejected", 422, "The image cannot be used")
REVISION_MISSING = Kind("revision-missing", 428, "The revision is missing")
TOO_MANY = Kind("too-many-requests", 429, "Too many requests")
INTERNAL = Kind("internal-error", 500, "The service failed")
NOT_INSTALLED = Kind("not-installed", 501, "Not installed here")
NO_INDEX = Kind("index-unavailable", 503, "The index is not available")
NO_MODEL = Kind("model-unavailable", 503, "The network is not available")
NO_JOBS = Kind("jobs-unavailable", 503, "Jobs cannot be run here")
NO_NOTES = Kind("notes-unavailable", 503, "Notes cannot be used here")
BUSY = Kind("busy", 503, "Too many requests of this kind are waiting")
TOOK_TOO_LONG = Kind("took-too-long", 504, "The question took too long")
BAD_REQUEST = Kind("bad-request", 400, "Bad request")

_BY_STATUS = {kind.status: kind for kind in (NOT_FOUND, METHOD_NOT_ALLOWED, TOO_LARGE, UNSUPPORTED, TOO_MANY)}
_BY_ERROR: Final[tuple[tuple[type[UnitscopeError], Kind], ...]] = (
    (NotFound, NOT_FOUND),
    (UserCodeFailed, INTERNAL),  # its message is not for clients
    (InvalidRequest, INVALID),
    (ImageRejected, REJECTED),
    (LengthMissing, LENGTH_REQUIRED),
    (UnsupportedBody, UNSUPPORTED),
    (NotAuthenticated, NOT_AUTHENTICATED),
    (NotAllowed, NOT_ALLOWED),
    (HostUnknown, HOST_UNKNOWN),
    (OnlyFromHere, ONLY_FROM_HERE),
    (ResultGone, RESULT_GONE),
    (JobsUnavailable, NO_JOBS),
    (NotesUnavailable, NO_NOTES),
    (RevisionReplaced, REVISION_REPLACED),
    (RevisionMissing, REVISION_MISSING),
    (TooManyRequests, TOO_MANY),
    (ModelUnavailable, NO_MODEL),
    (NotInstalled, NOT_INSTALLED),
    (Busy, BUSY),
    (TookTooLong, TOOK_TOO_LONG),
    (DamagedFile, NO_INDEX),
    (NotAnIndex, NO_INDEX),
    (GenerationReplaced, GENERATION_REPLACED),
    (StorageUnavailable, NO_INDEX),
    (IndexUnavailable, NO_INDEX),
)
_INTERNAL_DETAIL = "Something went wrong inside the service; its log has the cause under the request id."


def install(app: Flask) -> None:
    """Answer every exception of the application with a problem."""
    app.register_error_handler(UnitscopeError, _of_domain)
    app.register_error_handler(HTTPException, _of_http)
    app.register_error_handler(Exception, _of_anything)


def kind_of_status(status: int | None) -> Kind:
    """The kind of an HTTP status that something below the application chose."""
    return _BY_STATUS.get(status or 500, INTERNAL if (status or 500) >= 500 else BAD_REQUEST)


def body(kind: Kind, detail: str, instance: str, request_id: str, errors: list[dict[str, str]] | None = None) -> bytes:
    """The JSON of a problem."""
    fields: dict[str, Any] = {
        "type": TYPE_PREFIX + kind.name,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "instance": instance,
        "request_id": request_id,
    }
    return json.dumps(fields | ({"errors": errors} if errors else {})).encode()


def _problem(kind: Kind, detail: str, errors: list[dict[str, str]] | None = None) -> Response:
    content = body(kind, detail, quote(request.script_root + request.path, safe="/,"), g.request_id, errors)
    response = Response(content, kind.status, content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    return response


def _of_domain(error: UnitscopeError) -> Response:
    kind = _kind(error)
    if kind is INTERNAL:
        return _of_anything(error)
    errors = [fault.as_dict() for fault in error.faults] if isinstance(error, ContractViolation) else None
    response = _problem(kind, str(error), errors)
    if isinstance(error, TryLater):
        response.headers["Retry-After"] = str(error.retry_after)
    elif isinstance(error, NotAuthenticated):
        response.headers["WWW-Authenticate"] = CHALLENGE + (', error="invalid_token"' if error.given else "")
    elif isinstance(error, NotAllowed):
        response.headers["WWW-Authenticate"] = CHALLENGE + ', error="insufficient_scope"'
    elif kind is NO_INDEX:
        log.warning("request %s: %s", g.request_id, error)
        response.headers["Retry-After"] = str(RETRY_INDEX_SECONDS)
    return response


def _kind(error: UnitscopeError) -> Kind:
    if isinstance(error, ImageUnavailable):
        return IMAGE_CHANGED if error.changed else IMAGE_GONE
    if isinstance(error, ImageRejected) and isinstance(error.__cause__, UnidentifiedImageError):
        return UNSUPPORTED
    return next((kind for known, kind in _BY_ERROR if isinstance(error, known)), INTERNAL)


def _of_http(error: HTTPException) -> Response:
    kind = kind_of_status(error.code)
    response = _problem(kind, _http_detail(kind))
    if kind is METHOD_NOT_ALLOWED:
        response.headers["Allow"] = ", ".join(sorted(getattr(error, "valid_methods", None) or ()))
    return response


def _http_detail(kind: Kind) -> str:
    if kind is NOT_FOUND:
        return "there is nothing at this path; /openapi.yaml lists all paths"
    if kind is METHOD_NOT_ALLOWED:
        return f"{request.method} is not allowed here; the Allow header names the methods that are"
    if kind is TOO_LARGE:
        return f"the body may have at most {request.max_content_length} bytes"
    return kind.title


def _of_anything(error: Exception) -> Response:
    log.error("request %s failed", g.request_id, exc_info=error)
    return _problem(INTERNAL, _INTERNAL_DETAIL)
