"""Atlases over HTTP: what there is, points as numpy reads them, patches, selections, refusals."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.query.atlases.atlas import points_of, select, spread
from indexer.query.index import Index
from tests.atlas import LAYER, build_atlas
from tests.service.conforming import ConformingClient
from tests.service.conftest import served

ATLAS = f"/v1/indexes/index/layers/{LAYER}/atlas"


@pytest.fixture(scope="module")
def folder(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_atlas(small_index, tmp_path_factory.mktemp("atlas"), points=120, fitted=80)


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[ConformingClient]:
    with served(folder) as client:
        yield client


def test_it_says_what_it_was_made_of(client: ConformingClient, index: Index) -> None:
    found, atlas = client.get(ATLAS).json, index.atlas(LAYER)
    assert (found["points"], found["fitted"], found["perplexity"]) == (120, 80, 8)
    assert (found["kept"], found["kept_by_two_components"]) == (atlas.kept, atlas.kept_by_pca)
    assert found["made_of"] == {"images": len(index.images), "generation": 1, "seed": 0}
    assert found["classes"] == index.classes


def test_points_are_a_file_of_numpy(client: ConformingClient, index: Index) -> None:
    link = client.get(ATLAS).json["links"]["points"]
    answer = client.get(link)
    assert answer.content_type == "application/octet-stream"
    rows, points = np.load(io.BytesIO(answer.data), allow_pickle=False), points_of(index, LAYER)
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"]], axis=1), points.layout)
    np.testing.assert_array_equal(rows["image"], points.images)
    np.testing.assert_array_equal(rows["row"] * index.layer(LAYER).info.width + rows["column"], points.cells)
    np.testing.assert_array_equal(rows["class"], index.images.class_code[points.rows])
    np.testing.assert_array_equal(rows["neuron"], points.neurons)
    few = np.load(io.BytesIO(client.get(f"{link}?limit=7").data))
    np.testing.assert_array_equal(few, rows[:7])
    assert client.get(link, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_patches_are_those_of_the_library(client: ConformingClient, index: Index) -> None:
    found = client.get(f"{ATLAS}/patches?left=0&top=0&right=1&bottom=1&columns=3&rows=2").json["items"]
    expected = spread(index, LAYER, 0, 0, 1, 1, 3, 2)
    assert [(item["image"], item["cell"], item["x"]) for item in found] == [
        (point.image.id, {"y": point.y, "x": point.x}, point.layout[0]) for point in expected
    ]
    assert client.get(found[0]["links"]["patch"]).content_type == "image/jpeg"


def test_a_selection_is_that_of_the_library(client: ConformingClient, index: Index) -> None:
    polygon = [[0.0, 0.0], [0.6, 0.0], [0.6, 1.0], [0.0, 1.0]]
    found = client.post(f"{ATLAS}/selection", json={"polygon": polygon, "limit": 3}).json
    expected = select(index, LAYER, [(x, y) for x, y in polygon], 3)
    assert (found["points"], found["images"]) == (expected.points, expected.images)
    assert [item["neuron"] for item in found["neurons"]] == [item.neuron for item in expected.neurons]
    assert found["direction"] == {str(neuron): weight for neuron, weight in expected.direction.items()}
    along = client.post(found["links"]["search"], json={"layer": LAYER, "weights": found["direction"], "limit": 2})
    assert len(along.json["items"]) == 2


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        ("features.12/atlas", None, 404, "layer features.12 has no atlas yet; python -m indexer atlas"),
        ("features.12/atlas/points.npy", None, 404, "has no atlas yet"),
        (f"{LAYER}/atlas/patches?left=1&top=0&right=1&bottom=1", None, 422, "left < right"),
        (f"{LAYER}/atlas/selection", {"polygon": [[2, 2], [3, 2], [3, 3]]}, 422, "none of the 120 points"),
        (f"{LAYER}/atlas/selection", {"polygon": [[2, 2], [3, 2]]}, 422, "polygon"),
    ],
)
def test_refusals(client: ConformingClient, path: str, body: dict | None, status: int, detail: str) -> None:
    url = f"/v1/indexes/index/layers/{path}"
    answer = client.get(url) if body is None else client.post(url, json=body)
    assert answer.status_code == status
    assert detail in str(answer.json)
