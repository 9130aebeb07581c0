"""Images made for neurons over HTTP: by jobs, and from beside the index."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.network.restore import network_of
from indexer.query.index import Index
from indexer.synthesis.fooling import fool
from indexer.synthesis.kept import keep_optimal
from indexer.synthesis.optimal import Maker, Optimal
from indexer.synthesis.recipe import Settings, from_png
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.jobs import INDEX, MODEL, ended, files

MAKE = f"{INDEX}/make"
OPTIMAL = f"{INDEX}/layers/1/neurons/2/optimal"
ASKED = {"use": "optimal", "layer": "1", "neurons": [2, 0], "steps": 3, "rate": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    return build_planted(write_colours(folder / "photos", 1, numbered(3), noise=90), folder / "index")


@pytest.fixture
def own(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / folder.name))


@pytest.fixture
def client(serve: Serve, own: Path, tmp_path: Path) -> ConformingClient:
    return serve(own, model=MODEL, results=tmp_path / "results", check_seconds=0)


def made_by_the_library(index: Index, seed: int) -> list[Optimal]:
    network = network_of(index.manifest.configuration, model=MODEL)
    return Maker(index, network, "1", Settings(steps=3, rate=1, seed=seed)).make([0, 2])


def test_a_job_makes_the_images_of_the_library(client: ConformingClient, own: Path) -> None:
    before = files(own)
    none = client.get(OPTIMAL)
    assert (none.json["recipe"], none.json["links"]) == (None, {"picture": None})
    missing = client.get(f"{OPTIMAL}.png")
    assert missing.status_code == 404
    assert f'POST {MAKE} with {{"use": "optimal", "layer": "1", "neurons": [2]}}' in missing.json["detail"]
    job = ended(client, client.post(MAKE, json=ASKED).headers["Location"])
    assert (job["state"], job["links"]["again"]) == ("done", MAKE)
    result = client.get(job["links"]["result"]).json
    with indexer.open(own) as index:
        expected = made_by_the_library(index, 0)
    for image, one in zip(result["images"], expected, strict=True):
        assert {name: image[name] for name in one.about} == one.about
        assert client.get(image["links"]["picture"]).data == one.png()
        assert client.get(image["links"]["neuron"]).status_code == 200
    about = client.get(OPTIMAL)
    assert {name: about.json[name] for name in expected[1].about} == expected[1].about
    picture = client.get(about.json["links"]["picture"])
    assert picture.data == expected[1].png()
    assert client.get(f"{OPTIMAL}.png", headers={"If-None-Match": picture.headers["ETag"]}).status_code == 304
    assert client.get(f"{job['links']['self']}/images/2/picture.png").status_code == 404
    assert files(own) == before, "nothing is written into an index"


def test_an_image_beside_the_index_is_shown_until_a_job_makes_another(client: ConformingClient, own: Path) -> None:
    with indexer.open(own) as index:
        kept = made_by_the_library(index, 7)[1]
        keep_optimal(index, "1", 2, kept.png())
    first = client.get(f"{OPTIMAL}.png")
    assert first.data == kept.png()
    assert client.get(OPTIMAL).json["recipe"]["seed"] == 7
    ended(client, client.post(MAKE, json=ASKED).headers["Location"])
    second = client.get(f"{OPTIMAL}.png", headers={"If-None-Match": first.headers["ETag"]})
    assert second.status_code == 200
    assert client.get(OPTIMAL).json["recipe"]["seed"] == 0


def test_several_are_listed_at_once_and_a_damaged_one_is_said(client: ConformingClient, own: Path) -> None:
    with indexer.open(own) as index:
        for made in made_by_the_library(index, 7):
            keep_optimal(index, "1", made.neuron, made.png())
        keep_optimal(index, "1", 1, b"no picture")
    ended(client, client.post(MAKE, json=ASKED | {"neurons": [0]}).headers["Location"])
    items = client.get(f"{INDEX}/layers/1/optimal?neurons=2,3,1,0").json["items"]
    assert [one["neuron"] for one in items] == [2, 3, 1, 0]
    for one in (items[0], items[3]):
        alone = client.get(f"{INDEX}/layers/1/neurons/{one['neuron']}/optimal").json
        assert one == alone | {"detail": None}
        assert "immutable" in client.get(one["links"]["picture"]).headers["Cache-Control"]
    assert [one["recipe"] and one["recipe"]["seed"] for one in items] == [7, None, None, 0]
    assert items[1]["detail"] is None
    assert "is not an image that was made here" in items[2]["detail"]
    assert client.get(f"{INDEX}/layers/1/optimal?neurons=99").status_code == 404
    assert client.get(f"{INDEX}/layers/1/optimal?neurons=one").status_code == 422


@pytest.mark.parametrize(("changes", "status", "words"), [
    ({"layer": "9"}, 404, "has no layer '9'"),
    ({"neurons": [99]}, 404, "99"),
    ({"neurons": []}, 422, "neurons"),
    ({"steps": 0}, 422, "steps"),
    ({"way": "clay"}, 422, "way"),
    ({"use": "sculpture"}, 422, "use"),
])  # fmt: skip
def test_wrong_requests_are_refused_before_anything_waits(
    client: ConformingClient, changes: dict[str, object], status: int, words: str
) -> None:
    answer = client.post(MAKE, json={**ASKED, **changes})
    assert answer.status_code == status
    assert words in str(answer.json)
    assert client.get("/v1/jobs").json["total"] == 0


def test_a_job_fools_as_the_library_does(client: ConformingClient, own: Path) -> None:
    with indexer.open(own) as index:
        record = index.find_images(limit=1).items[0]
        pixels = index.manifest.configuration.preprocessing.pixels(index.picture(record))
        expected = fool(index, network_of(index.manifest.configuration, model=MODEL), pixels)
    url = f"{INDEX}/images/{record.id}/fool"
    job = ended(client, client.post(url, json={}).headers["Location"])
    assert (job["state"], job["links"]["again"]) == ("done", url)
    result = client.get(job["links"]["result"]).json
    for name, value in expected.as_dict().items():
        if name != "turning":
            assert result[name] == value
    for mine, theirs in zip(result["turning"], expected.turning, strict=True):
        assert {"layer": mine["layer"], "on": mine["on"], "off": mine["off"]} == {
            "layer": theirs.layer, "on": theirs.on, "off": theirs.off
        }  # fmt: skip
        assert [one["neuron"] for one in mine["strongest"]] == [one.neuron for one in theirs.strongest]
        assert {client.get(link).status_code for one in mine["strongest"] for link in one["links"].values()} <= {200}
    before, after = (from_png(client.get(result["links"][name]).data, name)[0] for name in ("before", "after"))
    assert np.array_equal(before, pixels)
    assert np.array_equal(after, expected.after)
    assert client.post(f"{INDEX}/images/99/fool", json={}).status_code == 404
    assert client.post(url, json={"target": "unicorn"}).status_code == 404
    assert client.post(url, json={"norm": "l1"}).status_code == 422
