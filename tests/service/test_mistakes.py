"""The network's answers over HTTP: the library's, with links from a figure to its images."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

import indexer
from indexer.query.index import Index
from indexer.query.learning.answering.answers import answer_on
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.answering.mistakes import mistakes
from indexer.query.learning.answering.scores import scores
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import served
from tests.service.test_answers import pages
from tests.service.test_learning import follow, without_links

BASE = "/v1/indexes/index"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that answers class 2 as class 0, and classes that are the numbers of its outputs."""
    folder = tmp_path_factory.mktemp("mistakes")
    photos = write_colours(folder / "photos", 1, numbered(8), noise=90)
    return build_planted(photos, folder / "index", {0: 0.5})


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[ConformingClient]:
    with served(folder) as client:
        yield client


@pytest.fixture(scope="module")
def index(folder: Path) -> Iterator[Index]:
    with indexer.open(folder) as index:
        yield index


def test_a_figure_of_the_matrix_leads_to_its_images(client: ConformingClient, index: Index) -> None:
    """index -> confusion -> the most confused pair -> its images -> one image's whole answer."""
    about = client.get(BASE).json
    found = client.get(f"{BASE}/confusion").json
    assert found["links"] == {name: about["links"][name] for name in ("mistakes", "scores")}
    assert found["most_confused"], "the planted network makes mistakes"
    assert without_links(found["most_confused"]) == [row.as_dict() for row in confusion(index).confused()]
    for row in found["most_confused"]:
        listed = client.get(row["links"]["mistakes"]).json
        assert listed["total"] == row["images"]
        for item in listed["items"]:
            assert (item["class"], item["answered_class"]) == (row["class"], row["answered"])
            answer = client.get(item["links"]["answer"]).json
            assert answer["rank"] == item["rank"]
            assert answer["answers"][0]["probability"] == item["confidence"]
            follow(client, answer)
    report = client.get(f"{BASE}/report").json["confusion"]
    assert report["most_confused"] == found["most_confused"]


@pytest.mark.parametrize("sort", ["confidence", "rank", "image"])
def test_mistakes_page_by_page(client: ConformingClient, index: Index, sort: str) -> None:
    whole = mistakes(index, sort=sort, limit=1000)
    listed = list(pages(client, f"{BASE}/mistakes?sort={sort}&limit=3"))
    assert [item["image"] for item in listed] == [record.image.id for record in whole.items]
    for item, record in zip(listed, whole.items, strict=True):
        figures = asdict(record)
        del figures["image"]
        assert {name: item[name] for name in figures} == figures


def test_an_answer_and_the_scores_are_the_librarys(client: ConformingClient, index: Index) -> None:
    for id_ in index.images.id[:5].tolist():
        answer, expected = client.get(f"{BASE}/images/{id_}/answer?limit=2").json, answer_on(index, id_, 2)
        assert [one["output"] for one in answer["answers"]] == [one.output for one in expected.said.answers]
        assert (answer["kind"], answer["rank"], answer["own"]["class"]) == (
            "logits",
            expected.rank,
            expected.own.class_,
        )
        assert client.get(client.get(f"{BASE}/images/{id_}").json["links"]["answer"]).json["rank"] == expected.rank
    found, expected = client.get(f"{BASE}/scores").json, scores(index)
    assert (found["accuracy"], found["calibration_error"]) == (expected.accuracy, expected.calibration_error)
    assert [row["recall"] for row in found["classes"]] == [score.recall for score in expected.classes]
    for row in found["classes"]:
        wrong = row["images"] - round(row["images"] * row["recall"])
        assert client.get(row["links"]["mistakes"]).json["total"] == wrong


@pytest.mark.parametrize(
    ("url", "status", "detail"),
    [
        ("mistakes?class=cars", 404, "no class 'cars'"),
        ("mistakes?answered=cars", 404, "'cars' is neither a class"),
        ("mistakes?sort=size", 422, "must be one of confidence, rank, image"),
        ("images/999/answer", 404, "no image 999"),
        ("images/1/answer?limit=0", 422, "limit"),
    ],
)
def test_what_cannot_be_answered(client: ConformingClient, url: str, status: int, detail: str) -> None:
    answer = client.get(f"{BASE}/{url}")
    assert answer.status_code == status
    assert detail in answer.text


def test_where_the_output_is_not_indexed(small_index: Path) -> None:
    with served(small_index) as client:
        assert "mistakes" not in client.get("/v1/indexes/small").json["links"]
        assert client.get("/v1/indexes/small/mistakes").status_code == 404
        assert client.get("/v1/indexes/small/images/1/answer").json["own"] is None
