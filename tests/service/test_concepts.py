"""Which neurons know this, over HTTP."""

import io
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.images.geometry import Box
from indexer.query.index import Index
from indexer.query.searching import concepts
from indexer.query.searching.concepts import Concept
from indexer.query.searching.contrast import Against, likeness
from tests.conftest import random_photo
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LAYER = "features.12"
URL = "/v1/indexes/small/concept"
PHOTOS = [random_photo(np.random.default_rng(seed), 150 + 9 * seed, 111) for seed in range(3)]
EDGES = {"left": 10, "top": 5, "right": 80, "bottom": 70}


def upload(client: ConformingClient, query: str, photos: list[Image.Image]):
    files = []
    for photo in photos:
        buffer = io.BytesIO()
        photo.save(buffer, "PNG")
        buffer.seek(0)
        files.append((buffer, "a.png"))
    return client.post(f"{URL}/lookup?{query}", data={"image": files}, content_type="multipart/form-data")


def check(body: dict, found: Concept, tolerance: float = 0.0) -> None:
    assert (body["compared"], body["inside"], body["outside"]) == (found.compared, found.inside, found.outside)
    assert body["left_out"] == found.left_out
    page = found.neurons
    assert (body["total"], body["limit"], body["offset"]) == (page.total, page.limit, page.offset)
    for item, record in zip(body["items"], page.items, strict=True):
        links = item.pop("links")
        assert links["patches"] == f"/v1/indexes/small/layers/{LAYER}/neurons/{item['neuron']}/patches"
        assert (item.pop("layer"), item.pop("category")) == (LAYER, None)
        own = {name: value for name, value in asdict(record).items() if name != "layer"}
        assert item == pytest.approx(own, rel=tolerance, abs=tolerance)


def test_indexed_images_and_classes(client: ConformingClient, index: Index) -> None:
    ids = [image.id for image in index.find_images(limit=3).items]
    answer = client.post(URL, json={"layer": LAYER, "images": ids, "limit": 7, "offset": 2})
    check(answer.json, concepts.of_images(index, LAYER, ids, limit=7, offset=2))
    answer = client.post(URL, json={"layer": LAYER, "class": "boats"})
    check(answer.json, concepts.of_class(index, LAYER, "boats"))
    assert answer.headers["Cache-Control"] == "no-store"


def test_against_others_than_all(client: ConformingClient, index: Index) -> None:
    ids = [image.id for image in index.find_images(limit=9).items]
    answer = client.post(URL, json={"layer": LAYER, "images": ids[:3], "against": {"images": ids[3:]}})
    check(answer.json, concepts.of_images(index, LAYER, ids[:3], Against(images=ids[3:])))
    boats, birds = (np.flatnonzero(index.images.class_code == code) for code in (1, 0))
    layer = index.layer(LAYER)
    unlike = float(np.median(likeness(layer, birds, layer.peaks_by_image[boats])))
    asked = {"layer": LAYER, "class": "boats", "against": {"class": "birds"}, "unlike": unlike}
    found = concepts.of_class(index, LAYER, "boats", Against(class_="birds", unlike=unlike))
    assert 0 < found.left_out < len(birds)
    check(client.post(URL, json=asked).json, found)
    maps = index.network().maps(PHOTOS[:2])[LAYER]
    answer = upload(client, f"layer={LAYER}&against_class=birds&limit=5", PHOTOS[:2])
    check(answer.json, concepts.of_peaks(index, LAYER, maps.max(axis=(2, 3)), Against(class_="birds"), limit=5), 1e-4)
    listed = f"layer={LAYER}&against_images={ids[4]}, {ids[2]}"
    answer = upload(client, f"{listed}&limit=5", PHOTOS[:2])
    few = Against(images=[ids[4], ids[2]])
    check(answer.json, concepts.of_peaks(index, LAYER, maps.max(axis=(2, 3)), few, limit=5), 1e-4)
    assert answer.json["outside"] == 2
    assert upload(client, f"{listed}&against_class=birds", PHOTOS[:2]).status_code == 422


def test_links_lead_on(client: ConformingClient) -> None:
    item = client.post(URL, json={"layer": LAYER, "class": "boats", "limit": 1}).json["items"][0]
    for url in item["links"].values():
        assert client.get(url).status_code == 200
    assert "immutable" in client.get(item["links"]["sheet"]).headers["Cache-Control"]


def test_a_box_on_an_indexed_image(client: ConformingClient, index: Index) -> None:
    image = index.find_images(limit=1).items[0].id
    answer = client.post(URL, json={"layer": LAYER, "image": image, "box": EDGES})
    check(answer.json, concepts.in_box(index, LAYER, image, Box(**EDGES)))


@pytest.mark.parametrize("count", [1, 3])
def test_uploaded_images(client: ConformingClient, index: Index, count: int) -> None:
    maps = index.network().maps(PHOTOS[:count])[LAYER]
    answer = upload(client, f"layer={LAYER}&limit=5", PHOTOS[:count])
    check(answer.json, concepts.of_peaks(index, LAYER, maps.max(axis=(2, 3)), limit=5), 1e-4)


def test_uploaded_copies_answer_as_the_indexed(client: ConformingClient, index: Index) -> None:
    records = index.find_images(limit=3).items
    answer = upload(client, f"layer={LAYER}&limit=1000", [index.picture(record) for record in records])
    own = {item["neuron"]: item["mean_inside"] for item in answer.json["items"]}
    indexed = concepts.of_images(index, LAYER, [record.id for record in records], limit=1000)
    for item in indexed.neurons.items:
        assert own[item.neuron] == pytest.approx(item.mean_inside, rel=1e-3, abs=1e-3)


def test_a_box_on_an_uploaded_image(client: ConformingClient, index: Index) -> None:
    maps = index.network().maps(PHOTOS[:1])[LAYER][0]
    edges = "&".join(f"{name}={value}" for name, value in EDGES.items())
    answer = upload(client, f"layer={LAYER}&{edges}&limit=5", PHOTOS[:1])
    check(answer.json, concepts.in_maps(index, LAYER, maps, *PHOTOS[0].size, Box(**EDGES), limit=5), 1e-4)
    answer = upload(client, f"layer={LAYER}&{edges}", PHOTOS[:2])
    assert answer.status_code == 422
    assert "one file" in answer.json["detail"]


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 422, "one of images"), ({"images": [3], "class": "boats"}, 422, "one of images"),
        ({"image": 3}, 422, "box"), ({"box": EDGES}, 422, "image"), ({"class": "boats", "box": EDGES}, 422, "box"),
        ({"image": 3, "box": EDGES | {"right": 10}}, 422, "left < right"), ({"images": []}, 422, "images"),
        ({"image": 3, "box": EDGES | {"left": 79}}, 422, "nothing to compare"), ({"images": [12345]}, 404, "12345"),
        ({"class": "cars"}, 404, "cars"), ({"layer": "x", "class": "boats"}, 404, "x"), ({"images": ["a"]}, 422, "0"),
        ({"image": 3, "box": EDGES, "unlike": 0.9}, 422, "a box is compared with"),
        ({"class": "boats", "against": {"class": "cars"}}, 404, "cars"),
        ({"class": "boats", "unlike": 0}, 422, "unlike"),
        ({"class": "boats", "against": {"class": "birds", "images": [1]}}, 422, "against"),
        ({"class": "boats", "unlike": 0.001}, 422, "raise unlike"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(client: ConformingClient, body: dict, status: int, word: str) -> None:
    answer = client.post(URL, json={"layer": LAYER} | body)
    assert answer.status_code == status
    assert word in str(answer.json)


def test_odd_uploads_are_refused(client: ConformingClient) -> None:
    assert upload(client, "layer=none", PHOTOS[:1]).status_code == 404
    assert upload(client, "", PHOTOS[:1]).status_code == 422
    assert upload(client, f"layer={LAYER}", []).status_code == 422
    assert "all four" in upload(client, f"layer={LAYER}&left=3", PHOTOS[:1]).json["detail"]
    assert upload(client, f"layer={LAYER}", PHOTOS * 7).status_code == 413
    data = {"image": (io.BytesIO(b"no image"), "a.png")}
    assert client.post(f"{URL}/lookup?layer={LAYER}", data=data).status_code == 415
    data = {"image": (io.BytesIO(b"x"), "a.png"), "layer": LAYER}
    assert client.post(f"{URL}/lookup?layer={LAYER}", data=data).status_code == 422
    assert client.post(f"{URL}/lookup?layer={LAYER}", data=b"x", content_type="image/png").status_code == 415


def test_uploads_wait_at_the_gate(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, forward_passes=1, forward_queue=0, forward_wait=0.01)
    with client.application.services.upload_gate.enter():
        assert upload(client, f"layer={LAYER}", PHOTOS[:1]).status_code == 503
        assert client.post(URL, json={"layer": LAYER, "class": "boats"}).status_code == 200
