"""The network in another process gives what it gives in this one, errors included; and it may be lost."""

import io
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from service.app import create_app
from service.inference.loader import Networks
from service.inference.messages import send
from service.settings import Settings
from tests.conftest import random_photo
from tests.service.conforming import ConformingClient
from tests.service.turns import asking, one_by_one

LOOKUP = "/v1/indexes/small/lookup?limit=4&layer=features.12"
WHY = "/v1/indexes/small/images/3/layers/features.12/cells/1,1/saliency.png?neuron=3&size=64"
PHOTO = random_photo(np.random.default_rng(5), 133, 99)


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def remote(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    networks = Networks(None, None, 60_000)
    folder = tmp_path_factory.mktemp("remote")
    with asking(small_index, folder, one_by_one(networks)) as client:
        yield client


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (png(PHOTO), 200), (png(PHOTO.convert("L")), 200), (b"no image", 415), (png(PHOTO)[:2000], 422),
        (png(Image.new("1", (400, 300))), 422),
    ],
    ids=["rgb", "grey", "no image", "cut", "too large"],
)  # fmt: skip
def test_uploads(remote: ConformingClient, serve_here: ConformingClient, data: bytes, status: int) -> None:
    there, here = (client.post(LOOKUP, data=data, content_type="image/png") for client in (remote, serve_here))
    assert there.status_code == here.status_code == status
    assert without_id(there.json) == without_id(here.json)


@pytest.fixture(scope="module")
def serve_here(small_index: Path) -> Iterator[ConformingClient]:
    app = create_app(Settings(directory=small_index, max_pixels=60_000))
    app.test_client_class = ConformingClient
    yield app.test_client()
    app.close()


def without_id(body: dict) -> dict:
    return {key: value for key, value in body.items() if key != "request_id"}


@pytest.mark.parametrize("method", ["gradient", "occlusion"])
def test_attribution(remote: ConformingClient, serve_here: ConformingClient, method: str) -> None:
    pytest.importorskip("captum.attr")
    there, here = (client.get(f"{WHY}&method={method}") for client in (remote, serve_here))
    assert there.status_code == 200
    assert there.get_data() == here.get_data()


def test_several_files_take_one_turn(remote: ConformingClient, serve_here: ConformingClient) -> None:
    def form() -> dict:
        return {"image": [(io.BytesIO(png(PHOTO.rotate(angle))), "a.png") for angle in (0, 90, 180)]}

    url = "/v1/indexes/small/concept/lookup?layer=features.12"
    there, here = (client.post(url, data=form()) for client in (remote, serve_here))
    assert there.status_code == 200
    assert there.json == here.json


def begin_and_end(turn: Connection) -> None:
    send(turn, {})


def end_at_once(turn: Connection) -> None:
    turn.close()


def end_within_an_answer(turn: Connection) -> None:
    send(turn, {})
    turn.recv_bytes()
    turn.send_bytes(b'{"width": 1, "height": 1, "maps": {"features.12": [1]}, "blocks": 1}')


@pytest.mark.parametrize("answer", [begin_and_end, end_at_once, end_within_an_answer])
def test_a_network_that_is_lost(small_index: Path, tmp_path: Path, answer: Callable[[Connection], None]) -> None:
    with asking(small_index, tmp_path, answer) as client:
        found = client.post(LOOKUP, data=png(PHOTO), content_type="image/png")
        assert (found.status_code, found.json["type"].split(":")[-1]) == (503, "model-unavailable")
        assert int(found.headers["Retry-After"]) > 0


def test_a_network_that_was_never_there(small_index: Path, tmp_path: Path) -> None:
    app = create_app(Settings(directory=small_index), str(tmp_path / "nowhere"))
    app.test_client_class = ConformingClient
    found = app.test_client().post(LOOKUP, data=png(PHOTO), content_type="image/png")
    assert (found.status_code, found.json["type"].split(":")[-1]) == (503, "model-unavailable")
    app.close()
