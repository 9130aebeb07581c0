"""Every route on a real index: its answers are those of the library, and its links lead where they say."""

import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image
from torchvision.models import SqueezeNet1_1_Weights
from werkzeug.test import TestResponse

from indexer.query.index import Index
from indexer.query.records import Firing, ImageRecord, Patch, SimilarPatch
from service.http import paging
from service.views import layers
from service.views.images import media_type
from tests.conftest import INPUT, LAYERS
from tests.reference import plain_activations, plain_input, plain_model
from tests.service.conforming import ConformingClient

BASE = "/v1/indexes/small"
LAYER = "features.12"


def links_of(value: Any) -> Iterator[str]:
    """Every URL under a key "links", at any depth."""
    if isinstance(value, dict):
        yield from value.get("links", {}).values()
        for item in value.values():
            yield from links_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from links_of(item)


def pages(client: ConformingClient, url: str) -> list[dict[str, Any]]:
    """All items of a list, by following the links to the next page."""
    items: list[dict[str, Any]] = []
    while url:
        answer = client.get(url)
        items += answer.json["items"]
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"])
        url = found[1] if found else ""
    return items


def place(image: ImageRecord) -> dict[str, Any]:
    return {"image": image.id, "path": image.path, "class": image.class_}


CATEGORIES = SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]


def bare(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "links"}


def patch_json(patch: Patch | Firing) -> dict[str, Any]:
    assert patch.image is not None
    firing = {}
    if isinstance(patch, Firing):
        firing = {"threshold": patch.threshold}
        firing["category"] = CATEGORIES[patch.neuron] if patch.layer == "classifier" else None
    return {
        **place(patch.image), **firing, "layer": patch.layer, "neuron": patch.neuron,
        "cell": {"y": patch.y, "x": patch.x}, "activation": patch.activation, "percentile": patch.percentile,
        "box": {"left": patch.box.left, "top": patch.box.top, "right": patch.box.right, "bottom": patch.box.bottom},
    }  # fmt: skip


def similar_json(patch: SimilarPatch) -> dict[str, Any]:
    return {
        **place(patch.image), "layer": patch.layer, "cell": {"y": patch.y, "x": patch.x}, "score": patch.score,
        "box": {"left": patch.box.left, "top": patch.box.top, "right": patch.box.right, "bottom": patch.box.bottom},
    }  # fmt: skip


def test_index(client: ConformingClient, index: Index) -> None:
    (summary,) = client.get("/v1/indexes").json["items"]
    assert (summary["name"], summary["ready"], summary["images"], summary["layers"], summary["classes"]) == (
        "small", True, 40, 3, 2,
    )  # fmt: skip
    found = client.get(BASE).json
    assert (found["name"], found["images"], found["classes"]) == ("small", 40, 2)
    assert found["generation"] == summary["generation"] == index.generation
    assert found["model"]["name"] == "squeezenet1_1"
    assert found["preprocessing"]["crop"] == list(INPUT)
    assert [layer["layer"] for layer in found["layers"]] == list(LAYERS)
    assert client.get(f"{BASE}/layers").json["items"] == found["layers"]


@pytest.mark.parametrize("name", LAYERS)
def test_layer(client: ConformingClient, index: Index, name: str) -> None:
    found = client.get(f"{BASE}/layers/{name}").json
    info = index.layer(name).info
    assert (found["channels"], found["height"], found["width"]) == (info.channels, info.height, info.width)
    peaks = index.layer(name).peaks
    assert found["dead_neurons"] == int((np.asarray(peaks).max(axis=1) <= 0).sum())
    field = found["receptive_field"]
    assert field["kind"] == "exact"
    if info.cells == 1:
        for axis, known in (("y", info.field.y), ("x", info.field.x)):
            first, end = known.intervals[0]
            assert field[axis] == {"size": end - first, "stride": None, "start": first}
    else:
        assert field["x"] == {"size": info.field.x.size, "stride": info.field.x.stride, "start": info.field.x.start}


@pytest.mark.parametrize("sort", ["neuron", "maximum", "mean", "std", "positive_cells", "firing_images"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("dead", [None, True, False])
def test_neurons_are_sorted_and_filtered(
    client: ConformingClient, index: Index, sort: str, order: str, dead: bool | None
) -> None:
    statistics = index.neuron_statistics(LAYER)
    neurons = [n for n in range(len(statistics["dead"])) if dead is None or bool(statistics["dead"][n]) == dead]
    sign = -1 if order == "desc" else 1
    key = (lambda n: sign * n) if sort == "neuron" else (lambda n: (sign * statistics[sort][n], n))
    chosen = "" if dead is None else f"&dead={str(dead).lower()}"
    url = f"{BASE}/layers/{LAYER}/neurons?sort={sort}&order={order}{chosen}"
    found = pages(client, f"{url}&limit=200")
    assert [item["neuron"] for item in found] == sorted(neurons, key=key)
    assert client.get(url).json["total"] == len(neurons)
    for item in found[::50]:
        assert {name: item[name] for name in statistics} == {n: v[item["neuron"]] for n, v in statistics.items()}


def test_neuron(client: ConformingClient, index: Index) -> None:
    neuron = int(np.argmax(index.neuron_statistics(LAYER)["maximum"]))
    found = client.get(f"{BASE}/layers/{LAYER}/neurons/{neuron}?bins=7&depth=10").json
    maps = np.stack([index.activation_map(image, LAYER, neuron) for image in index.images.id.tolist()])
    counts, edges = np.histogram(maps, 7, (maps.min(), maps.max()))
    assert [part["count"] for part in found["histogram"]] == counts.tolist()
    np.testing.assert_allclose([part["from"] for part in found["histogram"]], edges[:-1], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose([part["to"] for part in found["histogram"]], edges[1:], rtol=1e-6, atol=1e-9)
    top = client.get(f"{BASE}/layers/{LAYER}/neurons/{neuron}/patches?limit=10").json["items"]
    classes = [patch["class"] for patch in top]
    assert {entry["class"]: entry["share"] for entry in found["top_classes"]} == {
        name: classes.count(name) / 10 for name in set(classes)
    }


@pytest.mark.parametrize(
    "options",
    [
        {}, {"class_": "boats"}, {"per_image": "all"}, {"per_image": "all", "iou": 0.2}, {"y": 2, "x": 1},
        {"per_image": "all", "min": 0.05, "class_": "birds"},
    ],
)  # fmt: skip
def test_patches(client: ConformingClient, index: Index, options: dict[str, Any]) -> None:
    query = "&".join(f"{name.strip('_')}={value}" for name, value in options.items())
    for neuron in (0, 100, int(np.argmax(index.neuron_statistics(LAYER)["maximum"]))):
        wanted = index.top_patches(LAYER, neuron, limit=60, **options)
        url = f"{BASE}/layers/{LAYER}/neurons/{neuron}/patches?{query}"
        answer = client.get(f"{url}&limit=60").json
        assert [bare(item) for item in answer["items"]] == [patch_json(patch) for patch in wanted.items]
        assert answer["total"] == wanted.total
        assert client.get(f"{url}&limit=7&offset=5").json["items"] == answer["items"][5:12]


def test_patches_are_those_of_a_plain_forward_pass(client: ConformingClient, photo_folder: Path) -> None:
    paths = sorted(path for path in photo_folder.rglob("photo *.png"))
    inputs = [plain_input(path, 110, INPUT) for path in paths]
    maps = plain_activations(plain_model(), inputs, LAYER)
    for neuron in range(0, 512, 37):
        peaks = maps[:, neuron].reshape(len(paths), -1).max(axis=1)
        found = client.get(f"{BASE}/layers/{LAYER}/neurons/{neuron}/patches?limit=5").json["items"]
        activations = [item["activation"] for item in found]
        np.testing.assert_allclose(activations, np.sort(peaks)[::-1][:5], rtol=1e-4, atol=1e-5)
        for item in found:
            row = paths.index(photo_folder / item["path"])
            cell = maps[row, neuron, item["cell"]["y"], item["cell"]["x"]]
            np.testing.assert_allclose(item["activation"], cell, rtol=1e-4, atol=1e-5)


def test_images(client: ConformingClient, index: Index) -> None:
    everything = pages(client, f"{BASE}/images?limit=9")
    assert [item["image"] for item in everything] == [image.id for image in index.find_images(limit=100).items]
    assert len(everything) == 40
    boats = pages(client, f"{BASE}/images?class=boats")
    assert boats == [item for item in everything if item["class"] == "boats"]
    some = everything[7]
    assert pages(client, f"{BASE}/images?path={some['path'].replace(' ', '%20')}") == [some]
    assert pages(client, f"{BASE}/images?path=birds/none.png") == []
    assert client.get(f"{BASE}/images/{some['image']}").json == some


@pytest.mark.parametrize("list_", ["neurons/5/patches?per_image=all", "neurons/5/patches?y=3&x=5", "similar"])
def test_a_list_that_is_walked_goes_no_deeper_than_its_links(
    client: ConformingClient, list_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (paging, layers):
        monkeypatch.setattr(module, "DEEPEST", 30)
    path = (
        f"layers/{LAYER}/{list_}" if list_ != "similar" else f"images/3/layers/{LAYER}/cells/2,1/similar?per_image=one"
    )
    found, url = [], f"{BASE}/{path}&limit=7"
    while url:
        answer = client.get(url)
        assert answer.status_code == 200
        found += answer.json["items"]
        links = page_links(answer)
        assert max(links.values()) <= 30
        url = f"{BASE}/{path}&limit=7&offset={links['next']}" if "next" in links else None
    assert len(found) == 35
    assert found == client.get(f"{BASE}/{path}&limit=35").json["items"]
    if list_ != "similar":  # whose parameter says it
        assert client.get(f"{BASE}/{path}&offset=30").status_code == 200
        refused = client.get(f"{BASE}/{path}&offset=31")
        assert refused.status_code == 422
        assert "offset must be at most 30 with per_image=all or with y and x, not 31" in refused.json["detail"]
        assert client.get(f"{BASE}/layers/{LAYER}/neurons/5/patches?offset=31").status_code == 200


def page_links(answer: TestResponse) -> dict[str, int]:
    """Offsets of the pages that ``Link`` names."""
    return {
        name: int(offset) for offset, name in re.findall(r"<[^>]*offset=(\d+)>; rel=\"(\w+)\"", answer.headers["Link"])
    }


def test_page_links(client: ConformingClient) -> None:
    answer = client.get(f"{BASE}/images?class=boats&limit=6&offset=8")
    header = answer.headers["Link"]
    assert page_links(answer) == {"first": 0, "prev": 2, "next": 14, "last": 18}
    assert header.count("class=boats") == 4
    assert 'rel="next"' not in client.get(f"{BASE}/images?limit=40").headers["Link"]
    assert 'rel="prev"' not in client.get(f"{BASE}/images?limit=40").headers["Link"]
    beyond = client.get(f"{BASE}/images?limit=10&offset=1000")
    assert (beyond.json["items"], beyond.json["total"]) == ([], 40)


@pytest.mark.parametrize(
    ("path", "total"),
    [
        ("images?", 40),
        ("images?class=boats&", 20),
        ("images?path=nowhere&", 0),
        ("classes?", 2),
        (f"layers/{LAYER}/neurons?", 512),
        (f"layers/{LAYER}/classes?", 2),
        (f"layers/{LAYER}/neurons/5/patches?", 40),
        (f"layers/{LAYER}/neurons/5/patches?min=1e9&", 0),
        (f"layers/{LAYER}/neurons/5/patches?per_image=all&", 40 * 5 * 7),
        (f"layers/{LAYER}/neurons/5/patches?y=3&x=5&min=-1&", 40),
        (f"layers/{LAYER}/neurons/5/patches?per_image=all&iou=0&", None),
        (f"layers/{LAYER}/neurons/5/patches?per_image=all&min=0.001&class=birds&", None),
        (f"layers/{LAYER}/neurons/5/correlated?", None),
        (f"images/3/neurons?layer={LAYER}&", None),
        (f"images/3/layers/{LAYER}/cells/2,3/similar?", 40),
        (f"images/3/layers/{LAYER}/cells/2,3/similar?per_image=all&", 40 * 5 * 7),
    ],
)
def test_links_lead_back_from_beyond_the_end(client: ConformingClient, path: str, total: int | None) -> None:
    if total is None:
        total = len(pages(client, f"{BASE}/{path}limit=50"))
        assert total > 0
    for limit in (1, 7, 20):
        last = max(total - 1, 0) // limit * limit
        for offset in {total, total + 1, total + limit, 9999} - {0}:
            beyond = client.get(f"{BASE}/{path}limit={limit}&offset={offset}")
            assert (beyond.json["items"], beyond.json["total"]) == ([], total)
            assert page_links(beyond) == {"first": 0, "prev": last, "last": last}
        before = client.get(f"{BASE}/{path}limit={limit}&offset={last}")
        assert len(before.json["items"]) == total - last
        assert "next" not in page_links(before) or len(before.json["items"]) == limit


def test_firing(client: ConformingClient, index: Index) -> None:
    for image in index.images.id[[0, 13, 39]].tolist():
        wanted = index.neurons_firing(image, limit=1000)
        found = pages(client, f"{BASE}/images/{image}/neurons?limit=1000")
        assert [bare(item) for item in found[:1000]] == [patch_json(firing) for firing in wanted.items]
        assert len(found) == wanted.total
        one = pages(client, f"{BASE}/images/{image}/neurons?layer={LAYER}&fraction=0.1&limit=1000")
        assert [bare(item) for item in one] == [
            patch_json(firing) for firing in index.neurons_firing(image, layer=LAYER, fraction=0.1, limit=1000).items
        ]


@pytest.mark.parametrize("options", ["", "exact=true&", "per_image=all&", "exact=true&per_image=all&"])
def test_similar(client: ConformingClient, index: Index, options: str) -> None:
    wanted = index.similar(
        LAYER, 5, 2, 3, limit=12, exact="exact" in options, per_image="all" if "all" in options else "one"
    )
    url = f"{BASE}/images/5/layers/{LAYER}/cells/2,3/similar?{options}"
    found = client.get(f"{url}limit=12").json
    assert [bare(item) for item in found["items"]] == [similar_json(patch) for patch in wanted.items]
    assert found["items"][0]["image"] == 5
    assert client.get(f"{url}limit=4&offset=3").json["items"] == found["items"][3:7]


def test_search(client: ConformingClient, index: Index) -> None:
    body = {"layer": LAYER, "weights": {"3": 1, "77": -0.5}, "limit": 9, "exact": True}
    wanted = index.search(LAYER, {3: 1.0, 77: -0.5}, limit=9, exact=True)
    found = client.post(f"{BASE}/search", json=body).json
    assert [bare(item) for item in found["items"]] == [similar_json(patch) for patch in wanted.items]
    later = client.post(f"{BASE}/search", json=body | {"limit": 3, "offset": 4}).json
    assert later["items"] == found["items"][4:7]


def test_classes(client: ConformingClient) -> None:
    found = pages(client, f"{BASE}/classes?limit=1")
    assert [(item["class"], item["images"]) for item in found] == [("birds", 20), ("boats", 20)]
    assert client.get(f"{BASE}/classes/boats").json == found[1]


@pytest.mark.parametrize(
    "url",
    [
        "/v1/indexes/large", "/v1/indexes/Small", f"{BASE}/layers/features.1", f"{BASE}/layers/features", f"{BASE}/x",
        f"{BASE}/layers/{LAYER}/neurons/512", f"{BASE}/layers/{LAYER}/neurons/512/patches", f"{BASE}/images/1000",
        f"{BASE}/layers/{LAYER}/neurons/1/patches?class=cars", f"{BASE}/layers/{LAYER}/neurons/1/patches?y=99&x=0",
        f"{BASE}/images/1000/file", f"{BASE}/images/1000/neurons", f"{BASE}/images/0/neurons?layer=nope",
        f"{BASE}/images?class=cars", f"{BASE}/classes/cars", f"{BASE}/images/0/layers/{LAYER}/cells/99,0/patch.jpg",
        f"{BASE}/images/0/layers/{LAYER}/cells/0,99/similar", f"{BASE}/images/0/layers/{LAYER}/neurons/512/heatmap.png",
        f"{BASE}/images/0/layers/{LAYER}/cells/0,0/patch.jpg?heat=512", "/v1/", "/v1/indexes/", "/v1//indexes",
        "/healthz/", f"{BASE}/layers/nope/neurons", f"{BASE}/layers/nope/neurons/1",
    ],
)  # fmt: skip
def test_not_found(client: ConformingClient, url: str) -> None:
    answer = client.get(url, headers={"If-None-Match": '"something"'})
    assert answer.status_code == 404
    assert answer.json["type"].endswith(":not-found")


def test_not_found_names_what_there_is(client: ConformingClient) -> None:
    assert "small" in client.get("/v1/indexes/large").json["detail"]
    assert ", ".join(LAYERS) in client.get(f"{BASE}/layers/nope").json["detail"]
    assert "0 to 511" in client.get(f"{BASE}/layers/{LAYER}/neurons/512").json["detail"]


def test_links_lead_to_answers(client: ConformingClient) -> None:
    todo, seen = ["/v1/indexes"], set()
    kinds = set()
    while todo:
        url = todo.pop()
        kind = re.sub(r"\d+", "N", urlsplit(url).path)
        if url in seen or kind in kinds:
            continue
        seen.add(url)
        kinds.add(kind)
        answer = client.get(url)
        if answer.status_code == 405:
            assert url.endswith(("/lookup", "/search", "/concept"))
            continue
        assert answer.status_code == 200, url
        if answer.is_json:
            todo += links_of(answer.json)
    assert {re.sub(r".*/", "", kind) for kind in kinds} >= {
        "patch.jpg", "heatmap.png", "similar", "file", "patches", "neurons", "images", "lookup", "search", "classes",
    }  # fmt: skip


def test_file_is_the_original(client: ConformingClient, photo_folder: Path) -> None:
    for item in pages(client, f"{BASE}/images")[::11]:
        answer = client.get(item["links"]["file"])
        assert answer.get_data() == (photo_folder / item["path"]).read_bytes()
        assert hashlib.sha256(answer.get_data()).hexdigest() == item["sha256"]
        assert answer.mimetype == "image/png"
        assert Image.open(io.BytesIO(answer.get_data())).size == (item["width"], item["height"])


def test_what_a_camera_writes_is_a_jpeg() -> None:
    """Two pictures in a file: what Pillow calls MPO, and no browser shows under that name."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10)).save(buffer, "MPO", save_all=True, append_images=[Image.new("RGB", (10, 5))])
    assert Image.open(buffer).format == "MPO"
    assert media_type(buffer.getvalue()) == "image/jpeg"


def test_patch_is_cut_from_the_original(client: ConformingClient, photo_folder: Path) -> None:
    for item in client.get(f"{BASE}/layers/features.7/neurons/11/patches?limit=6").json["items"]:
        box = tuple(item["box"][side] for side in ("left", "top", "right", "bottom"))
        with Image.open(photo_folder / item["path"]) as photo:
            original = np.asarray(photo.crop(box), np.int16)
        shown = np.asarray(Image.open(io.BytesIO(client.get(item["links"]["patch"]).get_data())), np.int16)
        assert shown.shape == original.shape
        assert np.abs(shown - original).mean() < 6  # JPEG


def test_pictures_have_the_size_asked_for(client: ConformingClient) -> None:
    cell = f"{BASE}/images/3/layers/features.7/cells/2,4/patch.jpg"
    plain = Image.open(io.BytesIO(client.get(cell).get_data()))
    wide = Image.open(io.BytesIO(client.get(f"{cell}?context=0.5").get_data()))
    small = Image.open(io.BytesIO(client.get(f"{cell}?size=16").get_data()))
    assert wide.width > plain.width
    assert wide.height > plain.height
    assert max(small.size) == 16
    for options in ("outline=true", "heat=11"):
        assert client.get(f"{cell}?context=0.5&{options}").get_data() != client.get(f"{cell}?context=0.5").get_data()
    image = client.get(f"{BASE}/images/3").json
    heat = Image.open(io.BytesIO(client.get(f"{BASE}/images/3/layers/{LAYER}/neurons/7/heatmap.png").get_data()))
    assert (heat.size, heat.format) == ((image["width"], image["height"]), "PNG")


def test_looking_an_indexed_image_up_finds_itself(client: ConformingClient, index: Index, photo_folder: Path) -> None:
    for image in index.images.id[[2, 25]].tolist():
        indexed = client.get(f"{BASE}/images/{image}").json
        data = (photo_folder / indexed["path"]).read_bytes()
        found = client.post(f"{BASE}/lookup?layer={LAYER}&limit=1000", data=data, content_type="image/png").json
        known = pages(client, f"{BASE}/images/{image}/neurons?layer={LAYER}&limit=1000")
        assert (found["width"], found["height"], found["layer"]) == (indexed["width"], indexed["height"], LAYER)
        assert {(item["neuron"], *item["cell"].values()) for item in found["neurons"]} == {
            (item["neuron"], *item["cell"].values()) for item in known
        }
        np.testing.assert_allclose(
            sorted(item["activation"] for item in found["neurons"]),
            sorted(item["activation"] for item in known),
            rtol=1e-4,
            atol=1e-5,
        )
        boxes = {item["neuron"]: item["box"] for item in known}
        assert all(item["box"] == boxes[item["neuron"]] for item in found["neurons"])
        assert (found["patches"][0]["image"], found["images"][0]["image"]) == (image, image)
        assert found["patches"][0]["cell"] == found["cell"] == found["neurons"][0]["cell"]
        assert found["images"][0]["score"] == pytest.approx(1, abs=1e-4)


def test_lookup_of_all_layers_and_of_a_cell(client: ConformingClient, photo_folder: Path) -> None:
    data = (photo_folder / "birds" / "photo 004.png").read_bytes()
    found = client.post(f"{BASE}/lookup?limit=1000", data=data, content_type="image/png").json
    assert {item["layer"] for item in found["neurons"]} >= {"features.7", LAYER}
    assert found["layer"] == LAYERS[-1]
    found = client.post(f"{BASE}/lookup?layer={LAYER}&y=1&x=2&limit=3", data=data, content_type="image/png").json
    assert found["cell"] == {"y": 1, "x": 2}
    assert found["patches"][0]["cell"] == {"y": 1, "x": 2}
    assert [len(found[name]) for name in ("neurons", "patches", "images")] == [3, 3, 3]
    for query, status in (("y=1", 422), (f"layer={LAYER}&y=99&x=0", 404), ("layer=nope", 404), ("fraction=0", 422)):
        assert client.post(f"{BASE}/lookup?{query}", data=data, content_type="image/png").status_code == status


@pytest.mark.parametrize("query", ["", f"&layer={LAYER}", f"&layer={LAYERS[-1]}"])
def test_an_upload_is_answered_as_the_same_image_in_the_index(
    client: ConformingClient, photo_folder: Path, query: str
) -> None:
    for record in client.get(f"{BASE}/images?limit=3").json["items"]:
        data = (photo_folder / record["path"]).read_bytes()
        uploaded = client.post(f"{BASE}/lookup?limit=1{query}", data=data, content_type="image/png").json["answer"]
        indexed = client.get(record["links"]["answer"]).json
        assert (uploaded["layer"], uploaded["kind"], len(uploaded["answers"])) == (LAYERS[-1], indexed["kind"], 5)
        assert [one["output"] for one in uploaded["answers"]] == [one["output"] for one in indexed["answers"]]
        values = [one["value"] for one in uploaded["answers"]]
        assert values == pytest.approx([one["value"] for one in indexed["answers"]], rel=1e-4)


def test_head_is_get_without_the_body(client: ConformingClient) -> None:
    for url in (BASE, f"{BASE}/images/1/file", f"{BASE}/images", "/openapi.yaml", "/healthz"):
        get, head = client.get(url), client.head(url)
        assert head.status_code == 200
        for answer in (get, head):
            del answer.headers["X-Request-Id"]
        assert dict(get.headers) == dict(head.headers)
