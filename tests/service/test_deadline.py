"""A question has a limit of time, and a clear answer when it is over."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.errors import TookTooLong
from indexer.query import deadline
from indexer.query.generation import Generation
from indexer.query.learning.neurons import correlated
from indexer.query.searching import concepts
from tests.service.conftest import Serve

LAYER = "features.12"
DEEP = (
    f"/v1/indexes/small/layers/{LAYER}/neurons/3/patches?per_image=all&limit=1000",
    f"/v1/indexes/small/images/3/layers/{LAYER}/cells/1,1/similar?exact=true&limit=40",
    f"/v1/indexes/small/layers/{LAYER}/neurons/3/sheet.png",
    f"/v1/indexes/small/layers/{LAYER}/neurons/3/tiles.jpg",
    "/v1/indexes/small/images/3/neurons?fraction=0.2",
)


@pytest.fixture
def slow_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage that takes its time for every map and every original."""
    for name in ("_shard", "original"):
        real = getattr(Generation, name)

        def slow(*arguments: object, real=real) -> object:
            time.sleep(0.15)
            return real(*arguments)

        monkeypatch.setattr(Generation, name, slow)


@pytest.mark.parametrize("url", DEEP[:3])
@pytest.mark.usefixtures("slow_reading")
def test_a_deep_question_ends_with_504(serve: Serve, small_index: Path, url: str) -> None:
    client = serve(small_index, question_seconds=0.2)
    began = time.monotonic()
    answer = client.get(url)
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (504, "took-too-long")
    assert "longer than 0.2 seconds" in answer.json["detail"]
    assert time.monotonic() - began < 10


@pytest.mark.usefixtures("slow_reading")
def test_a_search_with_a_body_ends_too(serve: Serve, small_index: Path) -> None:
    client = serve(small_index, question_seconds=0.2)
    body = {"layer": LAYER, "weights": {"1": 1.0}, "exact": True}
    answer = client.post("/v1/indexes/small/search", json=body)
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (504, "took-too-long")


@pytest.mark.parametrize("url", DEEP)
def test_with_time_enough_all_is_answered(serve: Serve, small_index: Path, url: str) -> None:
    assert serve(small_index).get(url).status_code == 200


def test_every_kind_of_long_question_looks_at_the_time(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        vector = np.ones(index.layer(LAYER).info.channels, np.float32)
        questions = [
            lambda: index.top_patches(LAYER, 3, per_image="all"),
            lambda: index.similar(LAYER, 3, 1, 1),
            lambda: index.nearest(LAYER, vector, exact=True),
            lambda: index.nearest_images(LAYER, vector),
            lambda: index.search(LAYER, {1: 1.0}, exact=True),
            lambda: index.neurons_firing(3, fraction=0.1),
            lambda: concepts.of_class(index, LAYER, "birds"),
            lambda: correlated(index, LAYER, 3, 10, 0),
        ]
        for question in questions:
            with deadline.within(0), pytest.raises(TookTooLong):
                question()
            question()


def test_time_in_a_queue_does_not_count() -> None:
    with deadline.within(0.2):
        with deadline.paused():
            time.sleep(0.3)
            with deadline.paused():
                deadline.check()
        deadline.check()
        assert 0 < deadline.left() <= 0.2
        time.sleep(0.25)
        with pytest.raises(TookTooLong):
            deadline.check()


def test_each_thread_has_its_own() -> None:
    found: list[float] = []
    with deadline.within(0.01):
        other = threading.Thread(target=lambda: found.append(deadline.left()))
        other.start()
        other.join()
    assert found == [float("inf")]
    assert deadline.left() == float("inf")
