"""Clients of the service on the same machine: one that waits for each answer, and several beside each other."""

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

CLIENTS = 4
SECONDS = 1.0
_PART = "part-of-a-form"

Address = tuple[str, int]
Ask = Callable[[int], str]
"""Number of the request -> path."""


@contextmanager
def serving(path: Path, *flags: str) -> Iterator[Address]:
    """The service as anyone starts it, on a free port; it does not load torch beside what is measured first."""
    command = [sys.executable, "-m", "service", str(path), "--port", "0", "--preload", "false", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        try:
            address = re.search(r"http://([^:/]+):(\d+)", process.stdout.readline())
            assert address is not None, "the service did not start"
            yield address[1], int(address[2])
        finally:
            process.terminate()


def connect(address: Address) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*address, timeout=60)


def get(connection: http.client.HTTPConnection, path: str, tag: str | None = None) -> http.client.HTTPResponse:
    """Ask, by ETag where one is given, and read the answer, which must be there, or still be the same."""
    connection.request("GET", path, headers={} if tag is None else {"If-None-Match": tag})
    answer = connection.getresponse()
    answer.content = answer.read()
    if answer.status != (200 if tag is None else 304):
        raise RuntimeError(f"{path}: {answer.status} {answer.content[:300]!r}")
    return answer


def upload(connection: http.client.HTTPConnection, path: str, data: bytes) -> None:
    """Send a picture as a form and read the answer."""
    head = f'--{_PART}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n'
    body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + data + f"\r\n--{_PART}--\r\n".encode()
    connection.request("POST", path, body, {"Content-Type": f"multipart/form-data; boundary={_PART}"})
    answer = connection.getresponse()
    content = answer.read()
    if answer.status != 200:
        raise RuntimeError(f"{path}: {answer.status} {content[:300]!r}")


def per_second(address: Address, path: Ask, first: int = 100, tags: Callable[[int], str] | None = None) -> float:
    """Answers a second to `CLIENTS` clients together, over `SECONDS`; each starts at another number."""
    started = time.perf_counter()
    until = started + SECONDS

    def ask(client: int) -> int:
        connection, count = connect(address), 0
        while time.perf_counter() < until:
            number = first + 1000 * client + count
            get(connection, path(number), tags(number) if tags else None)
            count += 1
        connection.close()
        return count

    with ThreadPoolExecutor(CLIENTS) as pool:
        total = sum(pool.map(ask, range(CLIENTS)))
    return total / (time.perf_counter() - started)
