"""The server of one process, over real sockets: what waitress answers on its own, and how it ends."""

import contextlib
import http.client
import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from service.processes.server import FORM_OVERHEAD
from service.processes.sockets import addresses, listen
from service.settings import Settings
from tests.service.conforming import CONTRACT, check
from tests.service.listening import Address, running

LIMIT = 300_000
UPLOAD_HEAD = (
    b"POST /v1/indexes/small/lookup HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: image/png\r\nContent-Length: %d\r\n\r\n"
)


@pytest.fixture(scope="module")
def address(small_index: Path) -> Iterator[Address]:
    """Where a server in a thread of this process listens."""
    with running(Settings(directory=small_index, max_upload_bytes=LIMIT)) as (address, _):
        yield address


def ask(address: Address, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Response:
    connection = http.client.HTTPConnection(*address, timeout=60)
    chunked = body is not None and not isinstance(body, bytes)
    connection.request(method, path, body, headers or {}, encode_chunked=chunked)
    answer = connection.getresponse()
    found = Response(answer.read(), answer.status, answer.getheaders())
    connection.close()
    return found


def say(address: Address, text: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes, read the answer."""
    with socket.create_connection(address, timeout=60) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


@pytest.fixture(scope="module")
def photo(photo_folder: Path) -> bytes:
    return (photo_folder / "birds" / "photo 002.png").read_bytes()


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        ("get_root", "/"), ("get_health", "/healthz"), ("get_readiness", "/readyz"), ("get_contract", "/openapi.yaml"),
        ("list_indexes", "/v1/indexes"), ("get_index", "/v1/indexes/small"),
        ("list_patches", "/v1/indexes/small/layers/features.12/neurons/3/patches?per_image=all&limit=50"),
        ("get_patch", "/v1/indexes/small/images/1/layers/features.12/cells/1,2/patch.jpg?size=64"),
        ("get_heatmap", "/v1/indexes/small/images/1/layers/features.12/neurons/5/heatmap.png"),
        ("get_image_file", "/v1/indexes/small/images/1/file"), ("get_class", "/v1/indexes/small/classes/birds"),
        ("list_neurons", "/v1/indexes/small/layers/features%2E12/neurons"), (None, "/none"),
    ],
)  # fmt: skip
def test_answers_over_a_socket(address: Address, operation: str | None, path: str) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(address, method, path)
        check(operation, method, answer)
        assert "Server" not in answer.headers


def test_uploads_over_a_socket(address: Address, photo: bytes) -> None:
    path, headers = "/v1/indexes/small/lookup?limit=2&layer=features.12", {"Content-Type": "image/png"}
    whole = ask(address, "POST", path, photo, headers)
    check("lookup_image", "POST", whole)
    assert whole.status_code == 200
    chunked = ask(address, "POST", path, iter([photo[:1000], photo[1000:]]), headers | {"Transfer-Encoding": "chunked"})
    assert chunked.get_data() == whole.get_data()


def test_a_body_at_the_limit_is_read_and_one_above_is_not(address: Address) -> None:
    path, headers = "/v1/indexes/small/lookup", {"Content-Type": "image/png"}
    for size, status in ((LIMIT, 415), (LIMIT + 1, 413)):
        answer = ask(address, "POST", path, b"x" * size, headers)
        check("lookup_image", "POST", answer)
        assert answer.status_code == status


@pytest.mark.parametrize("length", [LIMIT + FORM_OVERHEAD, 10**12])
def test_a_body_far_above_the_limit_is_refused_by_its_length_alone(address: Address, length: int) -> None:
    status, headers, body = say(address, UPLOAD_HEAD % length)
    check_refusal(status, headers, body, 413, "too-large")


def test_bodies_without_a_length(address: Address) -> None:
    path, headers = "/v1/indexes/small/lookup", {"Content-Type": "image/png", "Transfer-Encoding": "chunked"}
    for size, status in ((LIMIT, 415), (LIMIT + 1, 413)):
        answer = ask(address, "POST", path, iter([b"x" * size]), headers)
        check("lookup_image", "POST", answer)
        assert answer.status_code == status
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n" % path.encode()
    sizes = (LIMIT, FORM_OVERHEAD, 1)  # and no end
    pieces = b"".join(b"%x\r\n%s\r\n" % (size, b"x" * size) for size in sizes)
    status, given, body = say(address, head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces)
    check_refusal(status, given, body, 413, "too-large")
    status, given, body = say(address, head + b"\r\n")
    check_refusal(status, given, body, 411, "length-required")


def check_refusal(status: int, headers: dict[str, str], body: bytes, wanted: int, kind: str) -> None:
    assert status == wanted
    assert headers["Content-Type"] == "application/problem+json"
    problem = json.loads(body)
    CONTRACT.validator({"$ref": "#/components/schemas/Problem"}).validate(problem)
    assert (problem["status"], problem["type"].split(":")[-1]) == (wanted, kind)
    assert problem["request_id"] == headers["X-Request-Id"]


@pytest.mark.parametrize(
    "text",
    [
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: minus\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
    ids=["length", "space", "chunk", "two lengths"],
)  # fmt: skip
def test_what_is_not_http_gets_a_problem(address: Address, text: bytes) -> None:
    status, headers, body = say(address, text)
    check_refusal(status, headers, body, 400, "bad-request")


def test_other_requests_go_on_while_one_is_slow(address: Address) -> None:
    with socket.create_connection(address) as slow:
        slow.sendall(UPLOAD_HEAD % 9 + b"x")
        assert ask(address, "GET", "/v1/indexes/small/images").status_code == 200


def test_requests_in_flight_are_answered_before_the_server_ends(small_index: Path, photo: bytes) -> None:
    with running(Settings(directory=small_index)) as (address, server), contextlib.ExitStack() as stack:
        idle, slow = (stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(2))
        slow.sendall(UPLOAD_HEAD % len(photo) + photo[:-1])
        assert ask(address, "GET", "/healthz").status_code == 200  # so the slow request has been seen
        server.stop()
        assert idle.recv(1) == b""  # closed at once
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        slow.sendall(photo[-1:])
        answer = b"".join(iter(lambda: slow.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"Connection: close" in answer.partition(b"\r\n\r\n")[0]


def test_a_request_that_never_ends_does_not_hold_up_the_end(small_index: Path) -> None:
    settings = Settings(directory=small_index, stop_seconds=0.1)
    with running(settings) as (address, server), socket.create_connection(address, timeout=60) as slow:
        slow.sendall(UPLOAD_HEAD % 9)
        assert ask(address, "GET", "/healthz").status_code == 200
        server.stop()
        assert slow.recv(1) == b""


def test_addresses_can_be_opened() -> None:
    (listening,) = listen("127.0.0.1", 0)
    with listening:
        (found,) = addresses([listening])
        address = re.fullmatch(r"http://(127\.0\.0\.1):(\d+)/", found)
        socket.create_connection((address[1], int(address[2]))).close()
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", int(address[2]))


def test_an_ipv6_address_is_written_as_one() -> None:
    try:
        sockets = listen("::1", 0)
    except OSError:
        pytest.skip("there is no IPv6 here")
    with sockets[0]:
        assert re.fullmatch(r"http://\[::1\]:\d+/", addresses(sockets)[0])
