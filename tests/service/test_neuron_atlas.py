"""Atlases of neurons over HTTP: what there is, points as numpy reads them, neurons, selections, refusals."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import indexer
import unitscope
from indexer.jobs.upkeep.remove import remove
from indexer.query.atlases.neuron_atlas import neuron_atlas, neuron_points, select_neurons, spread_neurons
from indexer.query.index import Index
from tests.atlas import LAYER, build_neuron_atlas
from tests.service.conforming import ConformingClient
from tests.service.conftest import served

ATLAS = f"/v1/indexes/index/layers/{LAYER}/neuron-atlas"
WHOLE = "left=-0.1&top=-0.1&right=1.1&bottom=1.1"
LEFT = [[-0.1, -0.1], [0.5, -0.1], [0.5, 1.1], [-0.1, 1.1]]


@pytest.fixture(scope="module")
def folder(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_neuron_atlas(small_index, tmp_path_factory.mktemp("neuron atlas"))


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[ConformingClient]:
    with served(folder) as client:
        yield client


def test_it_says_what_it_was_made_of(client: ConformingClient, index: Index) -> None:
    found, atlas = client.get(ATLAS).json, neuron_atlas(index, LAYER)
    assert found["points"] + found["left_out"] == index.layer(LAYER).info.channels
    assert (found["kept"], found["kept_by_two_components"]) == (atlas.kept, atlas.kept_by_pca)
    images = len(index.images)
    assert found["made_of"] == {"images": images, "over": images, "generation": 1, "seed": 0}
    assert (found["perplexity"], found["neighbours"], found["sampled"]) == (8, 10, len(atlas))


def test_points_are_a_file_of_numpy(client: ConformingClient, index: Index) -> None:
    link = client.get(ATLAS).json["links"]["points"]
    answer = client.get(link)
    rows, points = np.load(io.BytesIO(answer.data), allow_pickle=False), neuron_points(index, LAYER)
    np.testing.assert_array_equal(np.stack([rows["x"], rows["y"]], axis=1), points.layout)
    np.testing.assert_array_equal(rows["neuron"], points.neurons)
    np.testing.assert_array_equal(rows["class"], points.classes)
    np.testing.assert_array_equal(rows["image"], points.images)
    np.testing.assert_array_equal(rows["row"] * index.layer(LAYER).info.width + rows["column"], points.cells)
    assert client.get(link, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_neurons_and_selections_are_those_of_the_library(client: ConformingClient, index: Index, folder: Path) -> None:
    found = client.get(f"{ATLAS}/patches?{WHOLE}&columns=3&rows=2").json["items"]
    expected = spread_neurons(index, LAYER, -0.1, -0.1, 1.1, 1.1, 3, 2)
    assert [(item["neuron"], item["image"], item["x"]) for item in found] == [
        (point.neuron, point.patch.image.id, point.layout[0]) for point in expected
    ]
    assert client.get(found[0]["links"]["patch"]).content_type == "image/jpeg"
    chosen = client.post(f"{ATLAS}/selection", json={"polygon": LEFT, "limit": 3}).json
    selected = select_neurons(index, LAYER, [(x, y) for x, y in LEFT], 3)
    assert chosen["total"] == selected.total
    assert [(item["class"], item["neurons"]) for item in chosen["classes"]] == selected.classes
    assert [item["neuron"] for item in chosen["neurons"]] == [point.neuron for point in selected.neurons]
    with unitscope.connect(folder) as files:
        assert files.neuron_atlas(LAYER) == client.get(ATLAS).json
        assert files.neuron_atlas_selection(LAYER, [(x, y) for x, y in LEFT], 3) == chosen


@pytest.mark.parametrize(
    ("path", "body", "status", "detail"),
    [
        (
            "features.12/neuron-atlas",
            None,
            404,
            "features.12 has no atlas of its neurons yet; python -m indexer neuron-",
        ),
        ("features.12/neuron-atlas/points.npy", None, 404, "has no atlas of its neurons yet"),
        (f"{LAYER}/neuron-atlas/patches?left=1&top=0&right=1&bottom=1", None, 422, "left < right"),
        (f"{LAYER}/neuron-atlas/selection", {"polygon": [[2, 2], [3, 2]]}, 422, "polygon"),
    ],
)
def test_refusals(client: ConformingClient, path: str, body: dict | None, status: int, detail: str) -> None:
    url = f"/v1/indexes/index/layers/{path}"
    answer = client.get(url) if body is None else client.post(url, json=body)
    assert answer.status_code == status
    assert detail in str(answer.json)


def test_a_removed_image_is_no_thumbnail_any_more(small_index: Path, tmp_path: Path) -> None:
    own = build_neuron_atlas(small_index, tmp_path)
    with served(own) as client:
        shown = {item["image"] for item in client.get(f"{ATLAS}/patches?{WHOLE}").json["items"]}
    gone = sorted(shown)[:3]
    remove(own, ids=gone)
    with served(own) as client:
        assert not {item["image"] for item in client.get(f"{ATLAS}/patches?{WHOLE}").json["items"]} & set(gone)
        rows = np.load(io.BytesIO(client.get(f"{ATLAS}/points.npy").data), allow_pickle=False)
        assert not np.isin(rows["image"], gone).any()
