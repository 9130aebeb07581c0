"""Why the network answers so over HTTP: the library's figures, from this process and from another."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import indexer
from indexer.dictionaries.learn import Recipe
from indexer.explain.why import why
from indexer.jobs.derived.dictionary import learn_into
from indexer.query.index import Index
from service.inference.loader import Networks
from tests.service.conforming import ConformingClient
from tests.service.conftest import served
from tests.service.turns import asking, one_by_one

BASE = "/v1/indexes/small"
LAYER = "features.12"


@pytest.fixture(scope="module")
def remote(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConformingClient]:
    """A client of a service whose network runs behind a socket."""
    networks = Networks(None, None, 10_000_000)
    folder = tmp_path_factory.mktemp("remote")
    with asking(small_index, folder, one_by_one(networks)) as client:
        yield client


def without_links(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_links(each) for key, each in value.items() if key != "links"}
    return [without_links(each) for each in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def expected(index: Index) -> dict[str, Any]:
    return why(index, index.network(), 7, LAYER, for_="818", against="751", limit=3).as_dict()


ASKED = f"layer={LAYER}&for=818&against=751&limit=3"


def test_it_is_what_the_library_says(
    client: ConformingClient, remote: ConformingClient, index: Index, expected: dict[str, Any]
) -> None:
    record = index.image(7)
    about = {"image": 7, "path": record.path, "class": record.class_, "width": record.width, "height": record.height}
    answers = [each.get(f"{BASE}/images/7/why?{ASKED}") for each in (client, remote)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json == answers[1].json
    assert without_links(answers[0].json) == {**about, **expected}
    assert len(expected["up"]) == len(expected["down"]) == 3


def test_its_links_lead_to_the_neurons_and_the_image(client: ConformingClient) -> None:
    found = client.get(f"{BASE}/images/7/why?{ASKED}").json
    for name in ("image", "file", "picture", "answer"):
        assert client.get(found["links"][name]).status_code == 200
    one = found["up"][0]
    assert client.get(one["links"]["patches"]).json["items"][0]["neuron"] == one["neuron"]
    for name in ("neuron", "patch", "heatmap"):
        assert client.get(one["links"][name]).status_code == 200
    assert client.get(found["for"]["links"]["neuron"]).json["neuron"] == 818


def test_an_upload_of_the_same_file_has_the_same_why(
    client: ConformingClient, remote: ConformingClient, index: Index, expected: dict[str, Any]
) -> None:
    record = index.image(7)
    data = index.original(record)
    for asked in (client, remote):
        answer = asked.post(f"{BASE}/lookup/why?{ASKED}", data=data, content_type="image/png")
        assert answer.status_code == 200
        assert without_links(answer.json) == {"width": record.width, "height": record.height, **expected}
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_client_that_has_it_gets_it_once(client: ConformingClient) -> None:
    url = f"{BASE}/images/8/why?layer={LAYER}&limit=1"
    first = client.get(url)
    again = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (first.status_code, again.status_code, again.get_data()) == (200, 304, b"")
    other = client.get(f"{BASE}/images/9/why?layer={LAYER}&limit=1", headers={"If-None-Match": first.headers["ETag"]})
    assert other.status_code == 200
    assert other.headers["ETag"] != first.headers["ETag"]
    assert first.json["for"] == first.json["answer"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 422, "layer"),
        ("layer=features.99", 404, "the index has no layer 'features.99'"),
        ("layer=classifier", 422, "layer classifier holds the network's outputs themselves"),
        (f"layer={LAYER}&for=1000", 404, "layer classifier has the outputs 0 to 999, not 1000"),
        (f"layer={LAYER}&for=nobody", 404, "'nobody' is neither the number nor the name of an output"),
        (f"layer={LAYER}&for=3&against=3", 422, "for and against are both the output 3"),
        (f"layer={LAYER}&limit=0", 422, "limit"),
        (f"layer={LAYER}&limit=101", 422, "limit"),
    ],
)
def test_what_cannot_be_asked_is_named(client: ConformingClient, query: str, status: int, words: str) -> None:
    for answer in (
        client.get(f"{BASE}/images/7/why?{query}"),
        client.post(f"{BASE}/lookup/why?{query}", data=b"unread", content_type="image/png"),
    ):
        assert answer.status_code == status
        assert words in answer.get_data(as_text=True)


def test_images_that_cannot_be_explained_are_named(client: ConformingClient, remote: ConformingClient) -> None:
    assert client.get(f"{BASE}/images/999/why?layer={LAYER}").status_code == 404
    for asked in (client, remote):
        answer = asked.post(f"{BASE}/lookup/why?layer={LAYER}", data=b"no image", content_type="image/png")
        assert answer.status_code == 415


def test_atoms_are_explained_as_neurons_are(small_index: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(small_index, tmp_path / "own"))
    learn_into(folder, "few", Recipe(LAYER, "kmeans", 4, cells=120))
    with served(folder, results=tmp_path / "results") as client, indexer.open(folder) as index:
        found = client.get(f"/v1/indexes/own/images/7/why?layer={LAYER}~few&for=818&limit=3").json
        expected = why(index, index.network(), 7, f"{LAYER}~few", for_="818", limit=3).as_dict()
        assert without_links({name: found[name] for name in expected}) == expected
        assert found["neurons"] == 4
        one = (found["up"] + found["down"])[0]
        assert client.get(one["links"]["patches"]).json["items"][0]["layer"] == f"{LAYER}~few"
