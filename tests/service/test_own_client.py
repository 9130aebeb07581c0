"""One client for files and for services: the same answers, the contract's fields, and patience with a busy service."""

import io
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import numpy as np
import pytest
from PIL import Image as pillow

import indexer
import unitscope
from indexer.errors import InvalidRequest, NotFound
from tests.service.conforming import CONTRACT
from tests.service.conftest import make_app
from unitscope.client import pages as paging
from unitscope.client import transport
from unitscope.client.index import IndexClient
from unitscope.client.records import SCHEMAS, Box, Patch
from unitscope.client.transport import Questions, Refused, Reply

LAYER, OUTPUT = "features.12", "classifier"
QUESTIONS: dict[str, Callable[[IndexClient], Any]] = {
    "about": lambda index: index.about(),
    "layers": lambda index: index.layers(),
    "images": lambda index: list(index.images()),
    "class": lambda index: list(index.images(class_="boats")),
    "path": lambda index: index.images(path="boats/photo 003.png").first(2),
    "image": lambda index: index.image(3),
    "classes": lambda index: list(index.classes()),
    "neurons": lambda index: index.neurons(LAYER, sort="maximum", order="desc").first(5),
    "states": lambda index: index.neurons(LAYER, state="mixed", best_class="boats").first(3),
    "neuron": lambda index: index.neuron(LAYER, 7),
    "patches": lambda index: index.top_patches(LAYER, 7).first(4),
    "cells": lambda index: index.top_patches(LAYER, 7, class_="boats", per_image="all", iou=0.3, least=0.1).first(9),
    "unit": lambda index: index.top_patches(LAYER, 7, cell=(1, 2)).first(3),
    "firing": lambda index: index.firing(3, layer=LAYER, fraction=0.05).first(6),
    "answer": lambda index: index.answer(3, limit=2),
    "why": lambda index: index.why(3, LAYER, output=5, against=6, limit=2),
    "similar": lambda index: index.similar(LAYER, 3, (1, 2)).first(4),
    "search": lambda index: index.search(LAYER, {3: 1.0, 9: -0.5}, limit=3),
    "report": lambda index: index.report(),
    "concept": lambda index: index.concept(LAYER, [1, 2], against=[3, 4, 5], limit=3),
    "class concept": lambda index: index.concept(LAYER, class_="boats", limit=3),
    "sheet": lambda index: np.asarray(index.sheet(LAYER, [3, 7], columns=2)).tolist(),
}


@pytest.fixture(scope="module")
def files(small_index: Path) -> Iterator[IndexClient]:
    with unitscope.connect(small_index) as index:
        yield index


@pytest.fixture(scope="module")
def service(live_url: str) -> IndexClient:
    return unitscope.connect(live_url, "small")


@pytest.mark.parametrize("question", QUESTIONS)
def test_files_and_services_answer_alike(files: IndexClient, service: IndexClient, question: str) -> None:
    here, there = QUESTIONS[question](files), QUESTIONS[question](service)
    assert here
    assert here == there


def test_what_is_refused_is_said_alike(files: IndexClient, service: IndexClient) -> None:
    for index in (files, service):
        with pytest.raises(Refused, match="the neurons 0 to 511, not 600"):
            index.neuron(LAYER, 600)
        with pytest.raises(Refused, match="nowhere"):
            index.neurons("nowhere").first(1)


@pytest.mark.parametrize("kind", SCHEMAS)
def test_records_have_the_fields_of_the_contract(kind: type) -> None:
    schema = CONTRACT.document["components"]["schemas"][SCHEMAS[kind]]
    given = {field.name.rstrip("_"): field.default for field in fields(kind) if field.name != "_sees"}
    assert set(given) == set(schema["properties"])
    assert {name for name, default in given.items() if default is MISSING} == set(schema["required"])


def test_patches_are_those_of_the_library_and_show_themselves(files: IndexClient, small_index: Path) -> None:
    with indexer.open(small_index) as index:
        for ours, theirs in zip(
            files.top_patches(LAYER, 7).first(5), index.top_patches(LAYER, 7, limit=5).items, strict=True
        ):
            box = theirs.box
            assert (ours.image, ours.path, ours.class_) == (theirs.image.id, theirs.image.path, theirs.image.class_)
            assert (ours.cell, ours.activation) == ((theirs.y, theirs.x), theirs.activation)
            assert ours.box == Box(box.left, box.top, box.right, box.bottom)
            with pillow.open(io.BytesIO(files.image(ours.image).original())) as original:
                crop = np.asarray(original.convert("RGB").crop(ours.box), float)
            shown = ours.picture(size=max(crop.shape[:2]))
            assert abs(np.asarray(shown, float).mean() - crop.mean()) < 6
            assert ours.heat_map().size[0] > 0
            assert ours.masked().size == ours.picture().size
            assert np.asarray(ours.masked()).mean() < np.asarray(ours.picture()).mean()
            assert ours.picture(context=0.5).size > ours.picture().size or ours.box == Box(0, 0, *original.size)
            assert files.image(ours.image).picture().size == (theirs.image.width, theirs.image.height)


def test_an_upload_by_path_bytes_or_picture(files: IndexClient, photo_folder: Path) -> None:
    path = photo_folder / "boats" / "photo 003.png"
    answers = [files.look_up(given, limit=2) for given in (path, path.read_bytes(), pillow.open(path))]
    assert answers[0] == answers[1] == answers[2]
    assert answers[0]["images"][0]["path"] == "boats/photo 003.png"


def test_lists_fetch_page_by_page(files: IndexClient, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(files.images())
    assert len(whole) == files.images().total == 40
    monkeypatch.setattr(paging, "PAGE", 7)
    assert list(files.images()) == whole
    assert files.images().first(12) == whole[:12]
    assert files.images().first(0) == []
    monkeypatch.setattr(paging, "PAGE", 8)  # the last page is full
    assert list(files.images()) == whole


def test_a_list_ends_at_the_last_offset_that_the_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PAGE", 7)
    asked: list[int] = []

    def fetch(limit: int, offset: int) -> dict[str, Any]:
        asked.append(offset)
        return {"items": list(range(offset, offset + limit)), "total": 1000}

    assert list(paging.Pages(fetch, lambda item: item).until(20)) == list(range(21))
    assert asked == [0, 7, 14]


@pytest.mark.parametrize("answer", [b"no HTTP at all\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"])
def test_what_speaks_no_http_is_a_line(answer: bytes) -> None:
    def speak(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(9999)
            connection.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as other:
        speaking = other.submit(speak, server)
        with pytest.raises(Refused, match="no service answers at"):
            unitscope.connect(f"http://127.0.0.1:{server.getsockname()[1]}")
        speaking.result()
    with pytest.raises(Refused, match="no service answers at"):
        unitscope.connect("http://127.0.0.1:80a")


@pytest.mark.parametrize("cut", [False, True])
def test_links_lead_through_a_proxy_that_puts_a_prefix_before_them(small_index: Path, cut: bool) -> None:
    """A proxy may cut the prefix off, or leave it to the service."""
    app = make_app(small_index, prefix="/tools/unitscope")

    def proxied(environ: dict[str, Any], start: Any) -> Any:
        if cut:
            environ["PATH_INFO"] = environ["PATH_INFO"].removeprefix("/tools/unitscope")
        return app(environ, start)

    with make_server("127.0.0.1", 0, proxied, handler_class=Silent) as server, ThreadPoolExecutor(1) as other:
        serving = other.submit(server.serve_forever)
        with unitscope.connect(f"http://127.0.0.1:{server.server_port}/tools/unitscope/") as index:
            (patch,) = index.top_patches(LAYER, 7).first(1)
            assert patch.picture().size[0] > 0
        server.shutdown()
        serving.result()
    app.close()


class Silent(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged."""


def test_lists_are_tables(files: IndexClient) -> None:
    table = files.neurons(LAYER, sort="neuron").to_pandas()
    assert len(table) == 512
    assert table["maximum"].tolist() == [neuron.maximum for neuron in files.neurons(LAYER, sort="neuron")]
    assert not {"links", "_sees"} & set(table.columns)
    assert set(files.classes().to_pandas()["class"]) == {"birds", "boats"}


class Busy:
    """A service that is busy for some requests."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def send(self, method: str, path: str, body: bytes | None, kind: str | None, seen: str | None = None) -> Reply:
        return self.replies.pop(0)

    def close(self) -> None:
        """Nothing is open."""


def test_a_busy_service_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", pauses.append)
    busy, done = Reply(503, b'{"detail": "busy"}', "3"), Reply(200, b'{"a": 1}')
    assert Questions(Busy(busy, Reply(429, b"", "later"), done)).get("/v1") == {"a": 1}
    assert pauses == [3.0, 2.0]
    service = Busy(*[busy] * 9)
    with pytest.raises(Refused, match="busy"):
        Questions(service).get("/v1")
    assert len(service.replies) == 5
    service = Busy(Reply(404, b'{"detail": "no such thing"}'), done)
    with pytest.raises(Refused, match="no such thing"):
        Questions(service).get("/v1")
    assert service.replies == [done]


def test_where_nothing_can_be_asked_is_a_line(small_index: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no index 'other'; there are: small"):
        unitscope.connect(small_index, "other")
    with pytest.raises(InvalidRequest, match="neither a folder nor the URL of a service"):
        unitscope.connect(tmp_path / "nothing")
    with pytest.raises(InvalidRequest, match="name one of the indexes"):
        unitscope.connect(tmp_path)
    with pytest.raises(Refused, match="no service answers at http"):
        unitscope.connect("http://127.0.0.1:9")


def test_a_patch_can_be_kept(files: IndexClient) -> None:
    first, second = files.top_patches(LAYER, 7).first(2)
    assert isinstance(first, Patch)
    assert first == files.top_patches(LAYER, 7).first(1)[0]
    assert first != second
