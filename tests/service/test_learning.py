"""What the network has learned, over HTTP: the library's answers, with links to the evidence."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import indexer
from indexer.query.index import Index
from indexer.query.learning import classes, neurons
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.compare import compare
from indexer.query.learning.report import report
from indexer.query.learning.trend import trend
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import served
from tests.service.test_answers import bare, links_of, pages

BASE = "/v1/indexes/before"
LAYER = f"{BASE}/layers/1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two states of one network, and an index without classes."""
    folder = tmp_path_factory.mktemp("learning")
    photos = write_colours(folder / "photos" / "colours", 1, numbered(8), noise=90)
    plain = write_colours(folder / "photos" / "plain", 2, {}, unlabelled=5)
    (folder / "indexes").mkdir()
    for name, images, changes in (("before", photos, {}), ("after", photos, {3: 0.5, 0: -50.0}), ("plain", plain, {})):
        build_planted(images, folder / "indexes" / name, changes)
    return folder / "indexes"


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[ConformingClient]:
    with served(folder) as client:
        yield client


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder / "before") as index:
        yield index


def without_links(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_links(item) for name, item in value.items() if name != "links"}
    return [without_links(item) for item in value] if isinstance(value, list) else value


def follow(client: ConformingClient, answer: Any) -> None:
    for url in set(links_of(answer)):
        assert client.get(url).status_code == 200, url


def test_hints_link_to_their_patches(tmp_path: Path) -> None:
    """One class is never answered, as the neurons of the others are always high."""
    photos = write_colours(tmp_path / "photos", 2, numbered(20), noise=30)
    with indexer.open(build_planted(photos, tmp_path / "index", {0: 40.0, 2: 40.0})) as index:
        expected = report(index)["hints"]
    with served(tmp_path / "index") as client:
        found = client.get("/v1/indexes/index/report").json["hints"]
        assert [without_links(hint) for hint in found] == expected
        assert {hint["class"] for hint in found} == {"1"}
        assert found[0]["links"]["patches"] == "/v1/indexes/index/layers/4/neurons/1/patches"
        follow(client, found)
        page = client.get("/v1/indexes/index/report?format=html").text
    assert "Hints at a shortcut" in page
    assert found[0]["links"]["patches"] in page


def test_neurons_are_listed_by_what_they_tell(client: ConformingClient, index: Index) -> None:
    table = neurons.table(index, "1")
    for item in pages(client, f"{LAYER}/neurons?limit=4"):
        row = table.row(item["neuron"])
        assert {name: item[name] for name in row} == row
    for query, options in (
        ("sort=auc&order=desc", {"sort": "auc", "descending": True}),
        ("sort=selectivity", {"sort": "selectivity"}),
        ("sort=entropy&state=selective", {"sort": "entropy", "state": "selective"}),
        ("class=1&dead=false", {"class_": "1", "dead": False}),
        ("state=dead", {"state": "dead"}),
    ):
        found = pages(client, f"{LAYER}/neurons?limit=2&{query}")
        assert [item["neuron"] for item in found] == table.ranked(**options).tolist()
    assert [item["neuron"] for item in pages(client, f"{LAYER}/neurons?state=dead")] == [3]
    detail = client.get(f"{LAYER}/neurons/1").json
    assert detail["aucs"] == neurons.aucs(index, "1", 1)
    assert detail["aucs"][0]["class"] == detail["best_class"] == "1"
    follow(client, detail)


def test_correlated(client: ConformingClient, index: Index) -> None:
    for neuron in range(6):
        found = pages(client, f"{LAYER}/neurons/{neuron}/correlated?limit=2")
        expected = neurons.correlated(index, "1", neuron, 100).items
        assert [(item["neuron"], item["correlation"]) for item in found] == expected
    follow(client, found)


def test_classes_of_a_layer(client: ConformingClient, index: Index) -> None:
    found = pages(client, f"{LAYER}/classes?auc=0.95&limit=2")
    assert [item["class"] for item in found] == index.classes
    for item, one in zip(found, classes.coverage(index, "1", 0.95), strict=True):
        assert bare(item) == {"layer": "1", **one.as_dict()}
        detail = client.get(f"{item['links']['self']}?auc=0.95&limit=3").json
        assert {name: detail[name] for name in bare(item)} == bare(item)
        best = classes.best_neurons(index, "1", item["class"], 3)
        assert [(n["neuron"], n["auc"], n["mean"]) for n in detail["neurons"]] == [
            (b.neuron, b.auc, b.mean) for b in best
        ]
        assert [(n["class"], n["likeness"]) for n in detail["like"]] == [
            (pair.b, pair.likeness) for pair in classes.like(index, "1", item["class"])
        ]
        assert detail["profile"] == classes.profile(index, "1", item["class"]).tolist()
        follow(client, detail)


def test_pair_likeness_and_confusion(client: ConformingClient, index: Index) -> None:
    found = client.get(f"{LAYER}/pair?a=0&b=2&limit=4").json
    assert [(n["neuron"], n["auc_a"], n["auc_b"]) for n in found["shared"]] == classes.shared(index, "1", "0", "2", 4)
    assert [(n["neuron"], n["auc"]) for n in found["apart"]] == [
        (one.neuron, one.auc) for one in classes.contrast(index, "1", "0", "2", 4)
    ]
    follow(client, found)
    likeness = client.get(f"{LAYER}/likeness").json
    assert likeness["matrix"] == classes.likeness(index, "1").tolist()
    assert likeness["matrix"][0][2] == found["likeness"]
    answers = client.get(f"{BASE}/confusion").json
    assert (answers["accuracy"], answers["matrix"]) == (confusion(index).accuracy, confusion(index).matrix.tolist())


def test_report(client: ConformingClient, index: Index) -> None:
    found = client.get(f"{BASE}/report?auc=0.8").json
    assert without_links(found) == report(index, 0.8)
    follow(client, found)
    for layer in found["layers"]:
        for state in ("dead", "dense", "selective", "mixed"):
            assert client.get(layer["links"][state]).json["total"] == layer[state]
    page = client.get(f"{BASE}/report?format=html")
    assert page.content_type == "text/html; charset=utf-8"
    assert f'href="{LAYER}/neurons?state=dead"' in page.text
    text = client.get(f"{BASE}/report?format=markdown")
    assert text.content_type == "text/markdown; charset=utf-8"
    assert f"(<{LAYER}/neurons?state=dead>)" in text.text
    tags = {client.get(f"{BASE}/report?format={name}").headers["ETag"] for name in ("json", "html", "markdown")}
    assert len(tags) == 3
    again = client.get(f"{BASE}/report?format=html", headers={"If-None-Match": page.headers["ETag"]})
    assert again.status_code == 304


def test_compare(client: ConformingClient, folder: Path, index: Index) -> None:
    url = "/v1/compare?a=before&b=after&layer=1"
    answer = client.get(f"{url}&limit=4")
    with indexer.open(folder / "after") as after:
        expected = compare(index, after, "1")
        found = {name: answer.json[name] for name in expected.summary()}
        assert found == expected.summary()
        assert without_links(pages(client, f"{url}&limit=4")) == [expected.row(neuron) for neuron in range(6)]
        once = pages(client, f"{url}&sort=correlation&repeats=false&limit=2")
        ranking = expected.ranked("correlation", repeats=False).tolist()
        assert without_links(once) == [expected.row(neuron) for neuron in ranking]
    assert (found["woke_up"], found["died"]) == ([3], [0])
    follow(client, answer.json)
    assert client.get(f"{url}&limit=4", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304
    other = client.get("/v1/compare?a=after&b=before&layer=1&limit=4").headers["ETag"]
    assert other != answer.headers["ETag"]
    assert client.get("/v1/compare?a=before&b=after&layer=1&layer_b=4").json["same_neurons"] is False


def test_trend(client: ConformingClient, folder: Path, index: Index) -> None:
    found = client.get("/v1/trend?index=before&index=after&layer=1").json
    with indexer.open(folder / "after") as after:
        assert found == trend([index, after], "1")
    drawn = client.get("/v1/trend.svg?index=before&index=after")
    assert drawn.content_type == "image/svg+xml; charset=utf-8"
    assert drawn.text.startswith("<svg ")


@pytest.mark.parametrize(
    ("url", "status", "detail"),
    [
        ("/v1/indexes/plain/layers/1/classes", 422, "at least 2 classes; this index has none"),
        ("/v1/indexes/plain/layers/1/likeness", 422, "at least 2 classes"),
        ("/v1/indexes/plain/layers/1/neurons?state=dense", 422, "state=dense needs images of at least 2 classes"),
        ("/v1/indexes/plain/confusion", 404, "no class of the index is the name or the number of an output of 4"),
        (f"{LAYER}/neurons?state=asleep", 422, "must be one of dead, dense"),
        (f"{LAYER}/neurons?class=cars", 404, "no class 'cars'"),
        (f"{LAYER}/classes/cars", 404, "no class 'cars'"),
        (f"{LAYER}/classes?auc=0.1", 422, "must be a number from 0.5 to 1"),
        (f"{LAYER}/pair?a=1&b=1", 422, "must be two classes"),
        (f"{LAYER}/pair?a=1", 422, "parameter b is missing"),
        (f"{LAYER}/neurons/99/correlated", 404, "neurons 0 to 5, not 99"),
        (f"{BASE}/report?format=pdf", 422, "one of json, markdown, html"),
        ("/v1/compare?a=before&b=plain&layer=1", 422, "0 images in common"),
        ("/v1/compare?a=before&b=nowhere&layer=1", 404, "no index 'nowhere'"),
        ("/v1/compare?a=before&b=after&layer=9", 404, "no layer '9'"),
        ("/v1/trend?index=before", 422, "must be given 2 to 50 times"),
        ("/v1/trend", 422, "parameter index is missing"),
        ("/v1/trend.svg?index=before&index=nowhere", 404, "no index 'nowhere'"),
    ],
)
def test_what_cannot_be_answered(client: ConformingClient, url: str, status: int, detail: str) -> None:
    answer = client.get(url)
    assert answer.status_code == status
    assert detail in answer.json["detail"]


def test_an_index_without_classes(client: ConformingClient) -> None:
    base = "/v1/indexes/plain"
    found = client.get(f"{base}/report").json
    assert (found["confusion"], found["layers"][0]["classes"]) == (None, None)
    follow(client, found)
    for name in ("html", "markdown"):
        assert client.get(f"{base}/report?format={name}").status_code == 200
    listed = client.get(f"{base}/layers/1/neurons?sort=auc&order=desc").json["items"]
    assert [item["neuron"] for item in listed] == list(range(6))
    assert {item["state"] for item in listed} == {"unknown", "dead"}
    assert listed[3]["state"] == "dead"
    assert listed[0]["auc"] is None
    follow(client, client.get(f"{base}/layers/1/neurons/0/correlated").json)
    assert client.get("/v1/trend?index=plain&index=plain").json["accuracy"] == [None, None]
    assert urlsplit(listed[0]["links"]["correlated"]).path == f"{base}/layers/1/neurons/0/correlated"
