"""Effective fields over HTTP: records, pictures, versions, refusals."""

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer import pictures
from indexer.jobs.derived.effective_field import keep_effective_field, measure_effective_field
from indexer.network.attribution import attribute
from indexer.network.differentiable import unit_of
from indexer.pictures.mask import mask_of
from indexer.pictures.mosaic import mosaic
from indexer.query.index import Index
from tests.effective import LAYER, MODEL, NEURON, OTHER, build_effective
from tests.indexer.test_attribution import without_captum
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve, served

LAYERS = "/v1/indexes/index/layers"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_effective(tmp_path_factory.mktemp("fields"))


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


@pytest.fixture(scope="module")
def client(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    with served(folder, model=MODEL, results=tmp_path_factory.mktemp("results")) as client:
        yield client


def decoded(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_layer_says_what_was_sampled(client: ConformingClient, index: Index) -> None:
    boxes = index.effective_field(LAYER).boxes
    assert client.get(f"{LAYERS}/{LAYER}").json["effective_field"] == {
        "held": 0.95, "images": 5, "seed": 2, "height": np.median(boxes[:, :, 3] - boxes[:, :, 1]),
        "width": np.median(boxes[:, :, 2] - boxes[:, :, 0]),
    }  # fmt: skip
    assert "effective_field" not in client.get(f"{LAYERS}/{OTHER}").json


def test_records_have_both_boxes(client: ConformingClient, index: Index) -> None:
    found = client.get(f"{LAYERS}/{LAYER}/neurons/{NEURON}/patches?limit=5").json["items"]
    for item, patch in zip(found, index.top_patches(LAYER, NEURON, limit=5).items, strict=True):
        assert (item["box"], item["effective_box"]) == (patch.box.as_dict(), patch.effective_box.as_dict())
    (plain,) = client.get(f"{LAYERS}/{OTHER}/neurons/{NEURON}/patches?limit=1").json["items"]
    assert "effective_box" not in plain
    assert "effective_patch" not in plain["links"]
    image = found[0]["image"]
    point = client.get(f"/v1/indexes/index/images/{image}/point?x=40&y=30").json["layers"]
    assert ["effective_box" in spot for spot in point] == [spot["layer"] == LAYER for spot in point]
    firing = client.get(f"/v1/indexes/index/images/{image}/neurons").json["items"]
    assert all(("effective_box" in each) == (each["layer"] == LAYER) for each in firing)
    similar = client.get(found[0]["links"]["similar"]).json["items"]
    assert all("effective_box" in each for each in similar)


def test_pictures_are_those_of_the_library(client: ConformingClient, index: Index) -> None:
    item = client.get(f"{LAYERS}/{LAYER}/neurons/{NEURON}/patches?limit=1").json["items"][0]
    where = index.image(item["image"]), LAYER, *item["cell"].values()
    answer = client.get(item["links"]["effective_patch"])
    assert "immutable" in answer.headers["Cache-Control"]
    made = pictures.encode(pictures.patch(index, *where, field="effective"), "JPEG")
    np.testing.assert_array_equal(decoded(answer.get_data()), decoded(made))
    assert decoded(made).shape != decoded(client.get(item["links"]["patch"]).get_data()).shape
    own = f"{LAYERS}/{LAYER}/neurons/{NEURON}"
    tiles = client.get(f"{own}/tiles.jpg?columns=2&rows=1&field=effective").get_data()
    made = pictures.encode(mosaic(index, LAYER, NEURON, columns=2, rows=1, field="effective"), "JPEG")
    np.testing.assert_array_equal(decoded(tiles), decoded(made))
    for url in (f"{own}/sheet.png?columns=2", f"{LAYERS}/{LAYER}/sheet.png?neurons={NEURON}&columns=2"):
        exact, effective = client.get(url), client.get(f"{url}&field=effective")
        assert exact.headers["ETag"] != effective.headers["ETag"]
        assert exact.get_data() != effective.get_data()


@pytest.mark.parametrize(
    "url",
    [
        f"{LAYERS}/{OTHER}/neurons/3/tiles.jpg", f"{LAYERS}/{OTHER}/neurons/3/sheet.png",
        f"{LAYERS}/{OTHER}/sheet.png?neurons=3", f"/v1/indexes/index/images/1/layers/{OTHER}/cells/1,2/patch.jpg",
    ],
)  # fmt: skip
def test_a_layer_without_one_is_a_404_that_names_the_command(client: ConformingClient, url: str) -> None:
    answer = client.get(f"{url}{'&' if '?' in url else '?'}field=effective")
    assert (answer.status_code, answer.json["type"]) == (404, "urn:problem-type:unitscope:not-found")
    assert f"effective-field INDEX --layer {OTHER}" in answer.json["detail"]
    assert client.get(f"{url}{'&' if '?' in url else '?'}field=large").status_code == 422


def test_another_field_is_another_version(serve: Serve, tmp_path: Path) -> None:
    folder = build_effective(tmp_path)
    client = serve(folder, check_seconds=0.0)
    patches = f"{LAYERS}/{LAYER}/neurons/{NEURON}/patches?limit=1"
    before = client.get(patches).json["items"][0]["links"]
    with indexer.open(folder) as index:
        keep_effective_field(folder, measure_effective_field(index, LAYER, images=1, seed=7))
    after = client.get(patches).json["items"][0]["links"]
    assert before["effective_patch"] != after["effective_patch"]
    assert before["patch"] == after["patch"]
    assert client.get(f"{LAYERS}/{LAYER}").json["effective_field"]["images"] == 1


# -- masks --------------------------------------------------------------------------------------------------------


def patch_url(client: ConformingClient) -> str:
    return client.get(f"{LAYERS}/{LAYER}/neurons/{NEURON}/patches?limit=1").json["items"][0]["links"]["patch"]


@pytest.fixture
def _captum() -> None:
    pytest.importorskip("captum.attr", reason="the extra saliency is not installed")


@pytest.mark.usefixtures("_captum")
def test_a_masked_patch_is_that_of_the_library(client: ConformingClient, index: Index) -> None:
    patch, *_ = index.top_patches(LAYER, NEURON, limit=1).items
    unit = unit_of(index.network(), LAYER, NEURON, patch.y, patch.x)
    mask = mask_of(index, lambda cell, pixels, field: attribute(unit, pixels, "gradient", field))
    made = pictures.patch(index, patch.image, LAYER, patch.y, patch.x, context=1, mask=partial(mask, patch))
    answer = client.get(f"{patch_url(client)}&context=1&mask=true&neuron={NEURON}&method=gradient")
    expected = decoded(pictures.encode(made, "JPEG")).astype(int)
    assert np.abs(decoded(answer.get_data()) - expected).mean() < 1
    assert "immutable" in answer.headers["Cache-Control"]
    plain = client.get(f"{patch_url(client)}&context=1")
    assert plain.headers["ETag"] != answer.headers["ETag"]
    assert decoded(plain.get_data()).sum() > decoded(answer.get_data()).sum()


@pytest.mark.usefixtures("_captum")
def test_masked_tiles_and_sheets(client: ConformingClient) -> None:
    own = f"{LAYERS}/{LAYER}/neurons/{NEURON}"
    for url in (f"{own}/tiles.jpg?columns=2&rows=1", f"{own}/sheet.png?columns=2&size=40"):
        plain, masked = (decoded(client.get(f"{url}{more}").get_data()) for more in ("", "&mask=true"))
        assert plain.shape == masked.shape
        assert masked.sum() < plain.sum()


@pytest.mark.parametrize(
    ("url", "status", "word"),
    [
        ("{patch}&mask=true", 422, "go together"), ("{patch}&neuron=3", 422, "go together"),
        ("{patch}&mask=true&neuron=99", 404, "neurons 0 to 5"),
        ("{patch}&mask=true&neuron=3&method=magic", 422, "one of guided-backprop"),
        ("{patch}&mask=maybe", 422, "true or"),
        (f"{LAYERS}/{LAYER}/sheet.png?neurons=3,4&columns=26&mask=true", 422, "at most 50 patches, not 52"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_mask_is_named(client: ConformingClient, url: str, status: int, word: str) -> None:
    answer = client.get(url.format(patch=patch_url(client)))
    assert answer.status_code == status
    assert word in answer.json["detail"]


def test_masks_wait_as_uploads_do(serve: Serve, folder: Path) -> None:
    client = serve(folder, model=MODEL, forward_passes=1, forward_queue=1, forward_wait=0.01)
    url = f"{patch_url(client)}&mask=true&neuron={NEURON}"
    with client.application.services.upload_gate.enter():
        answer = client.get(url)
        assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "busy")
        assert client.get(patch_url(client)).status_code == 200


def test_masks_without_captum_say_what_to_install(client: ConformingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    without_captum(monkeypatch)
    answer = client.get(f"{patch_url(client)}&mask=true&neuron={NEURON}&size=33")
    assert (answer.status_code, answer.json["type"]) == (501, "urn:problem-type:unitscope:not-installed")
