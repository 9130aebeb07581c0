"""Classes and files whose names are not UTF-8, or mean something in an address, over HTTP."""

import os
from pathlib import Path
from typing import Any

import pytest

from indexer.index.told_outputs import Telling
from indexer.jobs.build import build
from tests.conftest import build_request, write_photos
from tests.planted import build_planted, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import served

NAMES = (os.fsdecode(b"caf\xe9"), "a b&c=d?e#f", "50%", "ä∕ö", "x..", "+")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("odd")
    photos = write_photos(folder / "photos", seed=5, count=len(NAMES) * 2, classes=NAMES)
    request = build_request(photos, model="tests.own_models:small", layers=("0", "5"), preprocessing={})
    build(folder / "index", request)
    with served(folder / "index") as client:
        yield client


def follow(client: ConformingClient, link: str) -> Any:
    answer = client.get(link)
    assert answer.status_code == 200, (link, answer.text)
    return answer.json


def test_every_class_is_found_by_its_own_links(odd: ConformingClient) -> None:
    classes = follow(odd, "/v1/indexes/index/classes")["items"]
    assert len(classes) == len(NAMES)
    for named in classes:
        assert follow(odd, named["links"]["self"])["images"] == named["images"] == 2
        images = follow(odd, named["links"]["images"])["items"]
        assert {image["class"] for image in images} == {named["class"]}
        for image in images:
            assert follow(odd, image["links"]["self"])["path"] == image["path"]
            assert odd.get(image["links"]["file"]).data[:4] == b"\x89PNG"


def test_every_question_about_a_class_knows_it(odd: ConformingClient) -> None:
    layer = "/v1/indexes/index/layers/0"
    classes = follow(odd, f"{layer}/classes")["items"]
    assert len(classes) == len(NAMES)
    for named in classes:
        asked = named["links"]["self"]
        sent = asked.removeprefix(f"{layer}/classes/")
        answer = follow(odd, asked)
        assert answer["class"] == named["class"]
        for pair in answer["like"]:
            follow(odd, pair["links"]["pair"])
        follow(odd, f"{layer}/neurons?class={sent}")
        patches = follow(odd, f"{layer}/neurons/{answer['neurons'][0]['neuron']}/patches?class={sent}")["items"]
        assert {patch["class"] for patch in patches} <= {named["class"]}
    assert odd.get(f"{layer}/neurons?class=none").status_code == 404


def test_what_is_confused_with_such_a_class_is_found(tmp_path: Path) -> None:
    """Classes stand for outputs in order here."""
    colours = {name: (colour, 8) for name, colour in zip(NAMES[:3], ("green", "red", "blue"), strict=True)}
    index = build_planted(
        write_colours(tmp_path / "photos", 1, colours, noise=90), tmp_path / "index", {0: 0.5}, Telling(by_order=True)
    )
    with served(index) as client:
        confused = follow(client, "/v1/indexes/index/confusion")["most_confused"]
        assert any(NAMES[0] == row["answered"] for row in confused)
        for row in confused:
            assert follow(client, row["links"]["mistakes"])["total"] == row["images"]
