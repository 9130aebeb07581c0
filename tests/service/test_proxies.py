"""A path prefix and the headers of proxies: whose are believed, and where links lead then."""

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.test import Client
from werkzeug.wrappers import Response

from service.access.proxies import Environ, Proxies
from service.settings import Settings
from service.telemetry.logs import FIELDS
from tests.service.conftest import Serve
from tests.service.listening import running
from tests.waiting import wait_until

PREFIX = "/tools/unit-scope"


def seen(prefix: str = "", trusted: tuple[str, ...] = (), peer: str = "10.1.1.1", **sent: str) -> dict[str, Any]:
    """What an application hears of a request through a service with these settings."""

    def heard(environ: Environ, start_response: Any) -> Any:
        told = {key: environ.get(key, "") for key in ("REMOTE_ADDR", "SCRIPT_NAME", "PATH_INFO", "HTTP_HOST")}
        told |= {"scheme": environ["wsgi.url_scheme"], "left": [key for key in environ if "FORWARDED" in key]}
        return Response(json.dumps(told))(environ, start_response)

    headers = {f"X-Forwarded-{name}": value for name, value in sent.items() if name != "path"}
    client = Client(Proxies(heard, prefix, trusted), Response)
    answer = client.get(sent.get("path", "/v1/indexes"), headers=headers, environ_base={"REMOTE_ADDR": peer})
    told: dict[str, Any] = json.loads(answer.data)
    assert told["left"] == []
    return told


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.1.1.1", "203.0.113.7", "203.0.113.7"),
        ("10.1.1.1", "6.6.6.6, 203.0.113.7", "203.0.113.7"),  # the first is as the client wrote it
        ("10.1.1.1", "203.0.113.7, 10.2.2.2", "203.0.113.7"),  # two proxies
        ("10.1.1.1", "203.0.113.7:4711", "203.0.113.7"),
        ("10.1.1.1", "[2001:db8::9]:4711", "2001:db8::9"),
        ("10.1.1.1", "2001:db8::9", "2001:db8::9"),
        ("::ffff:10.1.1.1", "203.0.113.7", "203.0.113.7"),
        ("10.1.1.1", "203.0.113.7, no address", "10.1.1.1"),
        ("10.1.1.1", "", "10.1.1.1"),
        ("10.1.1.1", "10.2.2.2", "10.2.2.2"),
        ("203.0.113.8", "127.0.0.1", "203.0.113.8"),  # it is no proxy of ours
    ],
)
def test_the_client_is_the_last_address_that_is_no_proxy(peer: str, forwarded: str, client: str) -> None:
    assert seen(trusted=("10.0.0.0/8",), peer=peer, For=forwarded)["REMOTE_ADDR"] == client


def test_only_trusted_proxies_are_believed() -> None:
    sent = {"For": "127.0.0.1", "Host": "photos.example", "Proto": "https", "Prefix": "/elsewhere"}
    believed = seen(trusted=("10.1.1.1/32",), **sent)
    assert (believed["REMOTE_ADDR"], believed["HTTP_HOST"]) == ("127.0.0.1", "photos.example")
    assert (believed["scheme"], believed["SCRIPT_NAME"]) == ("https", "/elsewhere")
    forged = seen(trusted=("10.1.1.2/32",), **sent)
    assert (forged["REMOTE_ADDR"], forged["HTTP_HOST"]) == ("10.1.1.1", "localhost")
    assert (forged["scheme"], forged["SCRIPT_NAME"]) == ("http", "")


@pytest.mark.parametrize("prefix", ["//evil.example", "https://evil.example", "/a/../b?", "/ä", "/a//b", "a"])
def test_a_prefix_that_is_no_plain_path_is_not_taken_over(prefix: str) -> None:
    assert seen(trusted=("10.1.1.1/32",), Prefix=prefix)["SCRIPT_NAME"] == ""


@pytest.mark.parametrize("path", ["/v1/indexes", f"{PREFIX}/v1/indexes"])
def test_a_proxy_may_cut_the_prefix_off(path: str) -> None:
    told = seen(PREFIX, path=path)
    assert (told["SCRIPT_NAME"], told["PATH_INFO"]) == (PREFIX, "/v1/indexes")
    assert seen(PREFIX, path=f"{PREFIX}s/x")["PATH_INFO"] == f"{PREFIX}s/x"


def links_of(body: object) -> Iterator[str]:
    """All URLs in the links of an answer."""
    if isinstance(body, dict):
        for key, value in body.items():
            yield from (link for link in value.values() if link) if key == "links" else links_of(value)
    elif isinstance(body, list):
        for item in body:
            yield from links_of(item)


def below(serve: Serve, index: Path) -> FlaskClient:
    """A client of a service with the prefix. (The conforming one finds an operation by the path.)"""
    return FlaskClient(serve(index, prefix=PREFIX).application, flask.Response)


ASKED = ("", "/layers", "/layers/features.12/neurons?limit=2", "/layers/features.12/neurons/3/patches?limit=2",
         "/images?limit=2", "/classes", "/images/3/answer")  # fmt: skip


def test_every_link_has_the_prefix_and_leads_on(serve: Serve, small_index: Path) -> None:
    client = below(serve, small_index)
    links = {url for path in ASKED for url in links_of(client.get(f"/v1/indexes/small{path}").json)}
    links |= set(re.findall("<([^>]+)>", client.get("/v1/indexes/small/images?limit=2").headers["Link"]))
    assert len(links) > 30
    for url in links:
        assert url.startswith(f"{PREFIX}/v1/")
    for url in sorted(links)[::4]:
        assert client.get(url).status_code in (200, 405)  # lookup and search are posted
    assert client.get(f"{PREFIX}/v1/indexes/none").json["instance"] == f"{PREFIX}/v1/indexes/none"
    assert client.get("/healthz").status_code == 200, "for those who check the service itself"


def test_the_explorer_is_below_the_prefix(serve: Serve, small_index: Path) -> None:
    client = below(serve, small_index)
    assert client.open(PREFIX).headers["Location"] == f"{PREFIX}/"
    page = client.get(f"{PREFIX}/").text
    parts = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert len(parts) > 10
    assert not [part for part in parts if part.startswith("/")]
    for part in parts[:-1]:
        assert client.get(f"{PREFIX}/{part}").status_code == 200


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def nginx(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where nginx shows a service below a path that it does not cut off."""
    if not (program := shutil.which("nginx", path="/usr/sbin:/usr/bin")):
        pytest.skip("nginx is Debian's")
    folder = tmp_path_factory.mktemp("nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = Settings(directory=small_index, prefix=PREFIX, trusted_proxies=("127.0.0.1/32",), jobs=0)
    with running(settings) as ((host, behind), _):
        (folder / "nginx.conf").write_text(f"""
            daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}
            http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
              fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
              server {{ listen 127.0.0.1:{port}; location {PREFIX} {{ proxy_pass http://{host}:{behind};
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Prefix "";
                proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Proto $scheme; }} }} }}
        """)
        server = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-p", str(folder)])
        try:
            wait_until(lambda: listens(port))
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait()


def test_behind_nginx(nginx: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "service.requests")
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example"}
    asked = HTTPConnection(urlsplit(nginx).netloc, source_address=("127.0.0.2", 0))  # not the proxy's own address
    asked.request("GET", f"{PREFIX}/v1/indexes/small", headers=forged)
    body = json.load(asked.getresponse())
    asked.close()
    assert all(url.startswith(f"{PREFIX}/v1/") for url in links_of(body))
    assert getattr(caplog.records[-1], FIELDS)["client"] == "127.0.0.2"
    with urllib.request.urlopen(f"{nginx}{PREFIX}") as page:
        assert page.url == f"{nginx}{PREFIX}/"
