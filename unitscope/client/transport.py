"""Questions in the terms of openapi.yaml, to a running service, or to an application in this process."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, Final, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from indexer.errors import InvalidRequest, UnitscopeError
from indexer.store.storage import Location

SECONDS: Final = 120
TRIES: Final = 4
_BUSY: Final = (429, 503)
"""Too many requests, or busy: the same request may do better later."""
_LONGEST_PAUSE: Final = 30.0
_KIND: Final = "application/json"
Query = Mapping[str, object]


@dataclass(frozen=True)
class Reply:
    """What came back: the status, the body, after how many seconds one may ask again, if the service says so, and the
    state that it is of."""

    status: int
    body: bytes
    retry_after: str | None = None
    etag: str | None = None


class Refused(UnitscopeError):
    """The service answered that it cannot or will not; the message is what it said."""


class Service(Protocol):
    """Sends a request; gives status and body."""

    def send(self, method: str, path: str, body: bytes | None, kind: str | None, seen: str | None = None) -> Reply:
        """One request, whose body, if any, is of the media type ``kind``; ``seen`` is the ETag of what it changes.

        Raises
        ------
        Refused
            Nothing answers.
        """

    def close(self) -> None:
        """Let go of what is open."""


class RunningService:
    """A service elsewhere, by its URL; ``token`` is sent with every request, which may take ``seconds``."""

    def __init__(self, url: str, token: str | None = None, seconds: float = SECONDS) -> None:
        self._url, self._seconds = url.rstrip("/"), seconds
        self._prefix = urlsplit(self._url).path
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method: str, path: str, body: bytes | None, kind: str | None, seen: str | None = None) -> Reply:
        headers = self._headers | ({"Content-Type": kind} if kind else {}) | ({"If-Match": seen} if seen else {})
        try:
            request = Request(self._url + self._below(path), body, headers, method=method)
            with urlopen(request, timeout=self._seconds) as answer:
                return Reply(answer.status, answer.read(), etag=answer.headers.get("ETag"))
        except HTTPError as error:
            with error:
                return Reply(error.code, error.read(), error.headers.get("Retry-After"))
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise Refused(f"no service answers at {self._url} ({error})") from error

    def _below(self, path: str) -> str:
        """A path below the URL. Links in answers begin with the prefix that a service has behind a proxy."""
        return path.removeprefix(self._prefix) if path.startswith(f"{self._prefix}/v1/") else path

    def close(self) -> None:
        """Nothing is open between requests."""


class OwnService:
    """The same application in this process, over an index or a folder of indexes."""

    def __init__(
        self,
        directory: Location,
        model: str | None = None,
        weights: str | None = None,
        seconds: float = SECONDS,
        encoder: str | None = None,
        encoder_args: Mapping[str, Any] | None = None,
        model_args: Mapping[str, Any] | None = None,
    ) -> None:
        from indexer.index.loading import arguments_of
        from service.app import create_app
        from service.settings import Settings

        self._app = create_app(
            Settings(
                directory=directory, model=model, weights=weights, question_seconds=seconds, encoder=encoder,
                encoder_args=arguments_of(dict(encoder_args or {})), model_args=arguments_of(dict(model_args or {})),
            )
        )  # fmt: skip

    def send(self, method: str, path: str, body: bytes | None, kind: str | None, seen: str | None = None) -> Reply:
        headers = {"If-Match": seen} if seen else {}
        answer = self._app.test_client().open(path, method=method, data=body, content_type=kind, headers=headers)
        told = answer.headers
        return Reply(answer.status_code, answer.get_data(), told.get("Retry-After"), told.get("ETag"))

    def close(self) -> None:
        """Let go of the open indexes and of the notes."""
        self._app.close()


class Questions:
    """What a service is asked, as JSON or as bytes of a picture. Every method may raise `Refused`.

    A service that is busy is asked again, at most three times, when it says that it may be.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def get(self, path: str, query: Query | None = None) -> dict[str, Any]:
        """The JSON at a path."""
        return _json(self._asked("GET", _with(path, query)))

    def picture(self, path: str, query: Query | None = None) -> bytes:
        """The bytes of a picture."""
        return self._asked("GET", _with(path, query))

    def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """The JSON that answers a question whose terms are JSON."""
        return _json(self._asked("POST", path, _body(body), _KIND))

    def upload(self, path: str, image: bytes, query: Query | None = None) -> dict[str, Any]:
        """The JSON that answers a question about an image file."""
        return _json(self._asked("POST", _with(path, query), image, "image/*"))

    def change(self, path: str, make: Callable[[dict[str, Any]], Mapping[str, object]]) -> dict[str, Any]:
        """Replace what is at a path by what ``make`` makes of it; refused if somebody else changed it meanwhile."""
        there = self._reply("GET", path)
        return _json(self._asked("PUT", path, _body(make(_json(there.body))), _KIND, there.etag))

    def put(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Put JSON at a path, where it does not matter what was there."""
        return _json(self._asked("PUT", path, _body(body), _KIND))

    def job(self, path: str, body: Mapping[str, object], seconds: float) -> dict[str, Any]:
        """The result of a job, for which this waits.

        Raises
        ------
        Refused
            It failed, or takes longer.
        """
        job = self.post(path, body)
        end = time.monotonic() + seconds
        while job["state"] in ("queued", "running") and time.monotonic() < end:
            time.sleep(0.2)
            job = self.get(job["links"]["self"])
        if job["state"] != "done":
            raise Refused(f"the job {job['job']} is {job['state']}: {job['detail'] or 'ask again later'}")
        return self.get(f"{job['links']['self']}/result")

    def _asked(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None, seen: str | None = None
    ) -> bytes:
        return self._reply(method, path, body, kind, seen).body

    def _reply(
        self, method: str, path: str, body: bytes | None = None, kind: str | None = None, seen: str | None = None
    ) -> Reply:
        reply = self._service.send(method, path, body, kind, seen)
        for tried in range(1, TRIES):
            if reply.status not in _BUSY:
                break
            time.sleep(_pause(reply, tried))
            reply = self._service.send(method, path, body, kind, seen)
        if reply.status >= 400:
            raise Refused(_detail(reply.body, reply.status))
        return reply


def _body(body: Mapping[str, object]) -> bytes:
    return json.dumps(body).encode()


def _pause(reply: Reply, tried: int) -> float:
    """Seconds until the next try: those that the service names, or twice as many each time."""
    try:
        named = float(reply.retry_after or "")
    except ValueError:
        named = 0.5 * 2**tried
    return min(named, _LONGEST_PAUSE)


def path_of(*parts: str | int) -> str:
    """A path below /v1; the parts may hold any characters."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def _with(path: str, query: Query | None) -> str:
    given = {name: value for name, value in (query or {}).items() if value is not None}
    if not given:
        return path
    return f"{path}{'&' if '?' in path else '?'}{urlencode(given)}"


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = json.loads(body)
    except ValueError as error:
        raise InvalidRequest("what answers there is no service of unitscope: it gives no JSON") from error
    return answer


def _detail(body: bytes, status: int) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"status {status}"
