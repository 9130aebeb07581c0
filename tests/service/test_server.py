"""The server itself, over real sockets: `python -m service` and what waitress answers on its own."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.wrappers import Response

from service.app import create_app
from service.server import FORM_OVERHEAD, addresses, make_server
from service.settings import Settings
from tests.service.conforming import CONTRACT, check

LIMIT = 300_000
UPLOAD_HEAD = (
    b"POST /v1/indexes/small/lookup HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: %d\r\n\r\n"
)
Address = tuple[str, int]


@pytest.fixture(scope="module")
def address(small_index: Path) -> Iterator[Address]:
    """Where a server in a thread of this process listens."""
    settings = Settings(directory=small_index, port=0, max_upload_bytes=LIMIT)
    app = create_app(settings)
    server = make_server(app, settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    yield settings.host, server.effective_port
    server.trigger.pull_trigger(server.close)
    thread.join(timeout=60)
    server.task_dispatcher.shutdown()
    app.services.catalog.close()


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


def test_addresses_can_be_opened(small_index: Path) -> None:
    settings = Settings(directory=small_index, port=0, host="127.0.0.1")
    server = make_server(create_app(settings), settings)
    (found,) = addresses(server)
    assert re.fullmatch(rf"http://(127\.0\.0\.1|localhost):{server.effective_port}/", found)
    server.close()
    server.task_dispatcher.shutdown()


def start(*arguments: str, **environment: str) -> tuple[subprocess.Popen, str]:
    """Start `python -m service`; gives the process and its first line."""
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"} | environment
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "service", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert process.stdout is not None
    return process, process.stdout.readline()


@pytest.mark.parametrize("ending", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_command_serves_until_it_is_told_to_end(small_index: Path, ending: signal.Signals) -> None:
    process, line = start("--port", "0", UNITSCOPE_DIRECTORY=str(small_index))
    try:
        found = re.search(r"http://([^:/]+):(\d+)/", line)
        assert found, process.stderr.read()
        answer = ask((found[1], int(found[2])), "GET", "/v1/indexes/small")
        check("get_index", "GET", answer)
    finally:
        process.send_signal(ending)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", [["{}/nowhere"], ["{}", "--tokens", "{}/nowhere"]], ids=["index", "tokens"])
def test_command_says_what_is_wrong(tmp_path: Path, arguments: list[str]) -> None:
    process, _ = start(*(argument.format(tmp_path) for argument in arguments))
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, "nowhere" in errors, "Traceback" in errors) == (2, True, False)


def test_openmp_is_told_before_anything_is_imported() -> None:
    code = "import os, sys, service.__main__; print(os.environ['OMP_NUM_THREADS'], 'torch' in sys.modules)"
    environ = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for given, wanted in ({}, "1"), ({"OMP_NUM_THREADS": "3"}, "3"):
        found = subprocess.run(
            [sys.executable, "-c", code], env=environ | given, capture_output=True, text=True, check=True,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert found.stdout.split() == [wanted, "False"]
