"""What fires at a point of an image, and pictures for walls and pages: against slower and more obvious ways."""

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from indexer.query.index import Index
from tests.conftest import LAYERS
from tests.marks import seeds
from tests.service.conforming import ConformingClient

BASE = "/v1/indexes/small"
LAYER = "features.12"


def picture(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), np.float64)


def nearest_cell(index: Index, layer: str, width: int, height: int, x: float, y: float) -> tuple[int, int]:
    """By looking at every cell."""
    info = index.layer(layer).info
    place = index.manifest.configuration.preprocessing.placement(width, height)

    def distance(cell: tuple[int, int]) -> float:
        centres = []
        for axis, number in zip((info.field.y, info.field.x), cell, strict=True):
            if len(axis.intervals) == 1:
                centres.append(sum(axis.intervals[0]) / 2)
            else:
                centres.append(axis.start + axis.stride * number + axis.size / 2)
        return (centres[0] - place.y.to_input(y)) ** 2 + (centres[1] - place.x.to_input(x)) ** 2

    return min(((y, x) for y in range(info.height) for x in range(info.width)), key=distance)


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_point_is_the_nearest_cell_and_what_fires_there(client: ConformingClient, index: Index, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = int(rng.integers(40))
    record = index.image(image)
    x, y = round(rng.uniform(0, record.width), 2), round(rng.uniform(0, record.height), 2)
    found = client.get(f"{BASE}/images/{image}/point?x={x}&y={y}&limit=1000&fraction=0.05").json
    assert [spot["layer"] for spot in found["layers"]] == list(LAYERS)
    for spot in found["layers"]:
        layer = spot["layer"]
        cell = nearest_cell(index, layer, record.width, record.height, x, y)
        assert (spot["cell"]["y"], spot["cell"]["x"]) == cell
        assert spot["box"] == index.box(record, layer, *cell).as_dict()
        values = index.activation_maps(image, layer)[:, cell[0], cell[1]].astype(np.float32)
        lowest = index.thresholds(layer, 0.05)
        fires = {n for n, value in enumerate(values) if value > 0 and value >= np.float16(lowest[n])}
        assert {one["neuron"] for one in spot["neurons"]} == fires
        assert spot["total"] == len(fires)
        percentiles = [one["percentile"] for one in spot["neurons"]]
        assert percentiles == sorted(percentiles, reverse=True)
        assert client.get(spot["links"]["similar"]).status_code == 200


def test_point_of_an_upload_is_that_of_the_indexed_image(client: ConformingClient, index: Index) -> None:
    data = client.get(f"{BASE}/images/7/file").get_data()
    query = f"x=61.5&y=40&layer={LAYER}&limit=100"
    own = client.get(f"{BASE}/images/7/point?{query}").json["layers"]
    uploaded = client.post(f"{BASE}/lookup/point?{query}", data=data, content_type="image/png").json["layers"]
    assert [(one["cell"], one["box"]) for one in uploaded] == [(one["cell"], one["box"]) for one in own]
    # Kept maps are float16, so a neuron at its very threshold may go either way.
    ours, theirs = ({one["neuron"] for one in spots[0]["neurons"]} for spots in (own, uploaded))
    assert len(ours ^ theirs) <= 2


def test_heat_of_an_upload_is_that_of_the_indexed_image(client: ConformingClient) -> None:
    data = client.get(f"{BASE}/images/7/file").get_data()
    neuron = client.get(f"{BASE}/images/7/neurons?layer={LAYER}&limit=1").json["items"][0]["neuron"]
    own = client.get(f"{BASE}/images/7/layers/{LAYER}/neurons/{neuron}/heatmap.png?size=90").get_data()
    query = f"layer={LAYER}&neuron={neuron}&size=90"
    uploaded = client.post(f"{BASE}/lookup/heatmap.png?{query}", data=data, content_type="image/png")
    assert np.abs(picture(uploaded.get_data()) - picture(own)).max() <= 3
    assert np.abs(picture(own) - picture(client.get(f"{BASE}/images/7/picture.jpg?size=90").get_data())).max() > 30


@pytest.mark.parametrize(
    ("query", "status"),
    [("x=1", 422), ("x=-1&y=1", 422), ("x=99999&y=1", 422), ("x=1&y=1&layer=nope", 404), ("x=1&y=1&fraction=0", 422)],
)
def test_a_wrong_point_is_refused(client: ConformingClient, query: str, status: int) -> None:
    data = client.get(f"{BASE}/images/7/file").get_data()
    assert client.get(f"{BASE}/images/7/point?{query}").status_code == status
    assert client.post(f"{BASE}/lookup/point?{query}", data=data, content_type="image/png").status_code == status


@pytest.mark.parametrize("query", ["neuron=1", "layer=nope&neuron=1", f"layer={LAYER}&neuron=512"])
def test_heat_of_no_neuron_is_refused(client: ConformingClient, query: str) -> None:
    data = client.get(f"{BASE}/images/7/file").get_data()
    answer = client.post(f"{BASE}/lookup/heatmap.png?{query}", data=data, content_type="image/png")
    assert answer.status_code in (404, 422)


def test_picture_is_the_whole_image(client: ConformingClient, index: Index) -> None:
    record = index.image(3)
    drawn = picture(client.get(f"{BASE}/images/3/picture.jpg").get_data())
    assert drawn.shape == (record.height, record.width, 3)
    assert np.abs(drawn - np.asarray(index.picture(record), np.float64)).mean() < 2
    small = picture(client.get(f"{BASE}/images/3/picture.jpg?size=50").get_data())
    assert max(small.shape[:2]) == 50


@pytest.mark.parametrize(("columns", "rows", "class_"), [(3, 2, None), (5, 5, "birds")])
def test_tiles_are_the_top_patches(
    client: ConformingClient, index: Index, columns: int, rows: int, class_: str | None
) -> None:
    size = 48
    patches = [
        patch
        for patch in index.top_patches(LAYER, 9, limit=columns * rows, class_=class_).items
        if patch.activation > 0
    ]
    assert len(patches) > 1
    suffix = f"&class={class_}" if class_ else ""
    url = f"{BASE}/layers/{LAYER}/neurons/9/tiles.jpg?columns={columns}&rows={rows}&size={size}{suffix}"
    drawn = picture(client.get(url).get_data())
    assert drawn.shape == (rows * size, columns * size, 3)
    for number in range(columns * rows):
        top, left = number // columns * size, number % columns * size
        tile = drawn[top : top + size, left : left + size]
        if number >= len(patches):
            assert np.abs(tile[4:-4, 4:-4] - 128).max() <= 3
            continue
        original, box = index.picture(patches[number].image), patches[number].box
        side = max(box.width, box.height)
        left_edge = min(max((box.left + box.right - side) // 2, 0), max(original.width - side, 0))
        top_edge = min(max((box.top + box.bottom - side) // 2, 0), max(original.height - side, 0))
        right, bottom = min(left_edge + side, original.width), min(top_edge + side, original.height)
        square = ImageOps.fit(
            original.crop((left_edge, top_edge, right, bottom)), (size, size), Image.Resampling.BILINEAR
        )
        assert np.abs(tile - np.asarray(square, np.float64)).mean() < 6


def test_too_many_tiles_are_refused(client: ConformingClient) -> None:
    answer = client.get(f"{BASE}/layers/{LAYER}/neurons/9/tiles.jpg?columns=6&rows=5")
    assert answer.status_code == 422
    assert "25" in answer.json["detail"]


def test_tiles_of_a_version_may_be_kept(client: ConformingClient) -> None:
    links = client.get(f"{BASE}/layers/{LAYER}/neurons/9").json["links"]
    assert "immutable" in client.get(links["tiles"]).headers["Cache-Control"]
    assert client.get(links["tiles"].partition("?")[0]).headers["Cache-Control"] == "no-cache"
