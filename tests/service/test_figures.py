"""Contact sheets and saliency over HTTP."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.images.geometry import Box
from indexer.jobs.upkeep.remove import remove
from indexer.network.attribution import attribute
from indexer.network.differentiable import unit_of
from indexer.pictures.saliency import saliency
from indexer.pictures.sheet import sheet
from indexer.pictures.sheet_draw import raster
from indexer.query.index import Index
from service.telemetry import metrics
from tests.indexer.test_attribution import active_patch, without_captum
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
SHEET = f"/v1/indexes/small/layers/{LAYER}/sheet.png"


def pixels(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def test_sheets_are_those_of_the_library(client: ConformingClient, index: Index) -> None:
    answer = client.get(f"{SHEET}?neurons=3,17,5&columns=4&rows=2&size=40&context=0.5&class=boats&y=1&x=2")
    made = sheet(index, LAYER, [3, 17, 5], columns=4, rows=2, size=40, context=0.5, class_="boats", y=1, x=2)
    assert np.array_equal(pixels(answer.get_data()), np.asarray(raster(made)))
    one = client.get(f"/v1/indexes/small/layers/{LAYER}/neurons/17/sheet.png?size=40&rows=3")
    made = sheet(index, LAYER, [17], rows=3, size=40)
    assert np.array_equal(pixels(one.get_data()), np.asarray(raster(made)))


def test_defaults_are_those_of_the_library(client: ConformingClient, index: Index) -> None:
    answer = client.get(f"{SHEET}?neurons=3,17")
    assert np.array_equal(pixels(answer.get_data()), np.asarray(raster(sheet(index, LAYER, [3, 17]))))


@pytest.mark.parametrize(
    ("query", "status", "word"),
    [
        ("", 422, "missing"), ("neurons=", 422, "neurons"), ("neurons=a", 422, "numbers with commas"),
        ("neurons=1,99999", 404, "99999"), ("neurons=1&columns=51", 422, "columns"),
        ("neurons=1&size=513", 422, "size"),
        ("neurons=" + ",".join(map(str, range(51))), 422, "50"), ("neurons=1&y=3", 422, "y and x"),
        ("neurons=1,2&rows=26", 422, "rows"), ("neurons=1&y=300&x=2", 404, "cells"),
        ("neurons=1&class=cars", 404, "cars"),
        ("neurons=" + ",".join(map(str, range(50))) + "&columns=50&size=500", 422, "pixels"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_sheet_is_named(client: ConformingClient, query: str, status: int, word: str) -> None:
    answer = client.get(f"{SHEET}?{query}")
    assert answer.status_code == status
    assert word in answer.json["detail"]


def test_a_sheet_is_kept_until_the_generation_changes(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    url = f"/v1/indexes/own/layers/{LAYER}/sheet.png?neurons=3,17&size=32"
    first = client.get(url)
    assert first.headers["Cache-Control"] == "no-cache"
    known = {"If-None-Match": first.headers["ETag"]}
    assert client.get(url, headers=known).status_code == 304
    others = [f"{url}&{query}" for query in ("columns=9", "rows=2", "context=0.2", "class=boats", "y=1&x=1")]
    tags = {client.get(other).headers["ETag"] for other in [*others, url.replace("3,17", "17,3")]}
    assert len(tags | {first.headers["ETag"]}) == len(others) + 2
    remove(own_index, ids=[7])
    assert client.get(url, headers=known).status_code == 200


WHY = f"/v1/indexes/small/images/3/layers/{LAYER}/cells/1,1/saliency.png?neuron=3"
DRAWINGS = tuple(url.format(LAYER) for url in (
    "/v1/indexes/small/layers/{}/sheet.png?neurons=3", "/v1/indexes/small/layers/{}/neurons/3/sheet.png",
    "/v1/indexes/small/layers/{}/neurons/3/tiles.jpg",
))  # fmt: skip


def refused(counter: str) -> float:
    text = metrics.render(metrics.IndexFigures()).decode()
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"unitscope_{counter}"))


def test_pictures_of_many_originals_have_a_bound_of_their_own(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, drawings=1, drawing_wait=0.01)
    uploads, drawings = refused("uploads_refused_total"), refused("drawings_refused_total")
    with client.application.services.drawing_gate.enter():
        for url in DRAWINGS:
            answer = client.get(url)
            assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "busy")
            assert "sheets and tiles" in answer.json["detail"]
            assert "upload" not in answer.json["detail"]
            assert int(answer.headers["Retry-After"]) >= 1
        assert client.get("/v1/indexes/small/images/3/picture.jpg").status_code == 200
    assert refused("drawings_refused_total") == drawings + len(DRAWINGS)
    assert refused("uploads_refused_total") == uploads
    assert [client.get(url).status_code for url in DRAWINGS] == [200] * 3


def test_uploads_do_not_hold_up_sheets_and_tiles(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, forward_passes=1, forward_queue=1, forward_wait=0.01)
    with client.application.services.upload_gate.enter():
        assert [client.get(url).status_code for url in DRAWINGS] == [200] * 3
        answer = client.get(WHY)
        assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "busy")
        assert "uploads" in answer.json["detail"]


def place(index: Index) -> str:
    patch = active_patch(index, "features.7")
    cell = f"{patch.y},{patch.x}/saliency.png?neuron={patch.neuron}"
    return f"/v1/indexes/small/images/{patch.image.id}/layers/features.7/cells/{cell}"


@pytest.mark.parametrize("method", ["guided-backprop", "gradient", "integrated-gradients", "occlusion"])
def test_saliency_is_that_of_the_library(client: ConformingClient, index: Index, method: str) -> None:
    pytest.importorskip("captum.attr")
    answer = client.get(f"{place(index)}&method={method}&size=64&context=0.25")
    patch = active_patch(index, "features.7")
    unit = unit_of(index.network(), "features.7", patch.neuron, patch.y, patch.x)
    where = patch.image, "features.7", patch.y, patch.x

    def attribution(image: np.ndarray, field: Box | None) -> np.ndarray:
        return attribute(unit, image, method, field)

    made = np.asarray(saliency(index, attribution, *where, size=64, context=0.25)).astype(int)
    assert np.abs(pixels(answer.get_data()) - made).max() <= 2
    again = client.get(f"{place(index)}&method={method}&size=64&context=0.25", headers={"If-None-Match": "*"})
    assert again.status_code == 304


def test_saliency_without_captum_says_what_to_install(
    client: ConformingClient, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_captum(monkeypatch)
    answer = client.get(place(index))
    assert (answer.status_code, answer.json["type"]) == (501, "urn:problem-type:unitscope:not-installed")
    assert "unitscope[saliency]" in answer.json["detail"]


@pytest.mark.parametrize(
    ("tail", "status"),
    [
        ("1,1/saliency.png", 422), ("1,1/saliency.png?neuron=99999", 404), ("99,1/saliency.png?neuron=3", 404),
        ("1,1/saliency.png?neuron=3&method=magic", 422), ("1,1/saliency.png?neuron=3&size=1", 422),
    ],
)  # fmt: skip
def test_what_is_wrong_with_saliency_is_named(client: ConformingClient, tail: str, status: int) -> None:
    answer = client.get(f"/v1/indexes/small/images/3/layers/{LAYER}/cells/{tail}")
    assert answer.status_code == status
