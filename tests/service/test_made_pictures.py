"""Dreams, paintings and fooled uploads over HTTP: as the library makes them, and for those alone who may see them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import indexer
from indexer.network.restore import network_of
from indexer.synthesis.art import art
from indexer.synthesis.dream import Dream, dream
from indexer.synthesis.fooling import fool
from indexer.synthesis.recipe import from_png
from service.access import tokens
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.jobs import INDEX, MODEL, ended
from tests.service.test_jobs_uploads import bearer

DREAM = {"layer": "1", "neurons": [2, 0], "octaves": 2, "steps": 2}
ART = {"layer": "1", "style_layers": ["1"], "steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    return build_planted(write_colours(folder / "photos", 2, numbered(2), noise=90), folder / "index")


@pytest.fixture
def client(serve: Serve, folder: Path, tmp_path: Path) -> ConformingClient:
    return serve(folder, model=MODEL, results=tmp_path / "results")


@pytest.fixture(scope="module")
def made(folder: Path) -> dict[str, Any]:
    """What the library makes of images 0 and 5, and the file of image 0."""
    with indexer.open(folder) as index:
        network = network_of(index.manifest.configuration, model=MODEL)
        preprocessing = index.manifest.configuration.preprocessing
        first, other = (preprocessing.pixels(index.picture(index.image(number))) for number in (0, 5))
        painting: dict[str, Any] = {"content_layer": "1", "style_layers": ["1"], "steps": 3}
        return {
            "file": (folder.parent / "photos" / index.image(0).path).read_bytes(),
            "first": first, "other": other,
            "dream": dream(index, network, first, Dream("1", [0, 2], octaves=2, steps=2)),
            "art": art(index, network, first, other, **painting),
            "style": art(index, network, other, first, **painting),
            "fool": fool(index, network, first),
        }  # fmt: skip


def result_of(client: ConformingClient, url: str, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The job that a request starts, and its result."""
    job = ended(client, client.post(url, **asked).headers["Location"])
    assert (job["state"], job["links"]["again"]) == ("done", url.partition("?")[0])
    return job, client.get(job["links"]["result"]).json


def sent(data: bytes) -> dict[str, Any]:
    return {"data": {"image": (io.BytesIO(data), "a.png")}, "content_type": "multipart/form-data"}


def pixels_at(client: ConformingClient, url: str) -> np.ndarray:
    return from_png(client.get(url).data, url)[0]


def test_an_indexed_image_is_dreamt_and_painted(client: ConformingClient, made: dict[str, Any]) -> None:
    job, result = result_of(client, f"{INDEX}/images/0/dream", json=DREAM)
    assert result["recipe"] == made["dream"].recipe
    picture = client.get(result["links"]["after"])
    assert picture.data == made["dream"].png()
    assert "immutable" in picture.headers["Cache-Control"]
    plain = client.get(result["links"]["after"].partition("?")[0])
    assert plain.headers["Cache-Control"] == "no-cache"
    assert np.array_equal(pixels_at(client, result["links"]["before"]), made["first"])
    spelled = DREAM | {"neurons": [0.0, 2.0], "rate": 0.01}
    assert client.post(f"{INDEX}/images/0/dream", json=spelled).json["job"] == job["job"]

    _, result = result_of(client, f"{INDEX}/images/0/art", json=ART | {"style": 5})
    assert {name: result[name] for name in made["art"].distances} == made["art"].distances
    assert client.get(result["links"]["after"]).data == made["art"].png()
    assert np.array_equal(pixels_at(client, result["links"]["style"]), made["other"])
    assert (result["image"], result["style_image"]) == (0, 5)
    assert client.get(result["links"]["style_image"]).json["image"] == 5


def test_an_upload_gets_what_an_indexed_image_gets(client: ConformingClient, made: dict[str, Any]) -> None:
    asked = f"{INDEX}/upload-dream?layer=1&neuron=2&neuron=0&octaves=2&steps=2"
    job, result = result_of(client, asked, **sent(made["file"]))
    picture = client.get(result["links"]["after"])
    assert picture.data == made["dream"].png()
    assert picture.headers["Cache-Control"] == "no-store"
    assert (result["image"], result["links"]["image"]) == (None, None)
    assert job["expires"] is not None

    _, result = result_of(client, f"{INDEX}/upload-fool", **sent(made["file"]))
    assert client.get(result["links"]["after"]).data == made["fool"].png()
    assert result["answer_after"]["name"] == made["fool"].answer_after.name

    _, result = result_of(client, f"{INDEX}/upload-art?other=5&layer=1&style_layer=1&steps=3", **sent(made["file"]))
    assert client.get(result["links"]["after"]).data == made["art"].png()
    assert (result["image"], result["style_image"], result["links"]["image"]) == (None, 5, None)
    _, result = result_of(
        client, f"{INDEX}/upload-art?other=5&upload_is=style&layer=1&style_layer=1&steps=3", **sent(made["file"])
    )
    assert client.get(result["links"]["after"]).data == made["style"].png()
    assert (result["image"], result["style_image"], result["links"]["style_image"]) == (5, None, None)


def test_only_its_own_token_sees_the_pictures_of_an_upload(
    serve: Serve, folder: Path, made: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    mine, other = (bearer(tokens.add(file, name, ("run",))) for name in ("me", "other"))
    client = serve(folder, model=MODEL, results=tmp_path / "results", tokens=file)
    asked = client.post(f"{INDEX}/upload-dream?layer=1&octaves=1&steps=1", headers=mine, **sent(made["file"]))
    job = ended(client, asked.headers["Location"], headers=mine)
    after = client.get(job["links"]["result"], headers=mine).json["links"]["after"]
    assert client.get(after, headers=mine).status_code == 200
    assert client.get(after, headers=other).status_code == 404
    assert client.delete(job["links"]["self"], headers=mine).status_code == 204
    assert client.get(after, headers=mine).status_code == 404


@pytest.mark.parametrize(("url", "body", "status", "words"), [
    ("images/99/dream", DREAM, 404, "99"),
    ("images/0/dream", DREAM | {"layer": "9"}, 404, "has no layer '9'"),
    ("images/0/dream", DREAM | {"neurons": [99]}, 404, "99"),
    ("images/0/dream", DREAM | {"octaves": 9}, 422, "octaves"),
    ("images/0/dream", DREAM | {"steps": 129}, 422, "steps"),
    ("images/0/art", ART | {"style": 0}, 422, "its own style already"),
    ("images/0/art", ART | {"style": 99}, 404, "99"),
    ("images/0/art", ART | {"style": 5, "style_layers": ["9"]}, 404, "has no layer '9'"),
    ("images/0/art", ART | {"style": 5, "steps": 1025}, 422, "steps"),
    ("upload-art?layer=1&style_layer=1&other=99", None, 404, "99"),
    ("upload-art?layer=1&style_layer=1&other=1&upload_is=frame", None, 422, "upload_is"),
    ("upload-dream", None, 422, "layer"),
    ("upload-fool?target=unicorn", None, 404, "unicorn"),
])  # fmt: skip
def test_wrong_requests_are_refused_before_anything_waits(
    client: ConformingClient, url: str, body: dict[str, Any] | None, status: int, words: str
) -> None:
    answer = client.post(f"{INDEX}/{url}", **(sent(b"no image") if body is None else {"json": body}))
    assert answer.status_code == status
    assert words in str(answer.json)
    assert client.get("/v1/jobs").json["total"] == 0
