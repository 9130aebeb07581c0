"""Pages of one listing: all of one generation, whichever replica answers."""

import re
import shutil
from pathlib import Path

import pytest

from indexer.jobs.build import add, build
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from tests.conftest import build_request, moved_index, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve

LISTS = (
    "images", "layers/1/neurons", "layers/1/neurons/2/patches", "images/3/neurons", "classes",
    "images/3/layers/1/cells/2,3/similar", "layers/1/neurons/2/correlated", "layers/1/classes",
)  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", seed=9, count=12)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    photos = write_photos(folder / "photos", seed=9, count=12)
    changes = {"model": "tests.own_models:small", "layers": ("0", "1"), "preprocessing": {}, "shard_size": 5}
    build(folder / "own", build_request(photos, **changes))
    return folder / "own"


@pytest.fixture
def own(photos: Path, built: Path, tmp_path: Path) -> Path:
    """An index that can grow, called "own"."""
    return moved_index(built, photos, tmp_path / "own")


def grow(own: Path, photos: Path, name: str) -> None:
    write_photos(photos / name, seed=len(name), count=2, classes=("planes",))
    add(own)


def link(client: ConformingClient, url: str, rel: str) -> str:
    return re.search(rf'<([^>]*)>; rel="{rel}"', client.get(url).headers["Link"])[1]


@pytest.mark.parametrize("path", LISTS)
def test_links_lead_to_pages_of_the_same_generation(serve: Serve, own: Path, photos: Path, path: str) -> None:
    client = serve(own, check_seconds=0.0)
    url = f"/v1/indexes/own/{path}?limit=1"
    before = client.get(url).json
    first = link(client, url, "first")
    assert "generation=1&limit=1&offset=0" in first
    grow(own, photos, "more")
    assert client.get("/v1/indexes/own").json["generation"] == 2
    assert client.get(first).json == before
    assert link(client, first, "first") == first
    assert "generation=2" in link(client, url, "first")


def test_pages_of_a_listing_are_of_one_state(serve: Serve, own: Path, photos: Path) -> None:
    client = serve(own, check_seconds=0.0)
    url, seen = "/v1/indexes/own/layers/1/neurons/2/patches?limit=4", []
    whole = client.get(url.replace("4", "99")).json["items"]
    grow(own, photos, "more")
    url = url + "&generation=1"
    while url:
        answer = client.get(url)
        seen += answer.json["items"]
        found = re.search(r'<([^>]*)>; rel="next"', answer.headers["Link"])
        url = found and found[1]
    assert seen == whole


def gone(client: ConformingClient, generation: int) -> bool:
    answer = client.get(f"/v1/indexes/own/images?generation={generation}")
    if answer.status_code == 200:
        return False
    assert (answer.status_code, answer.json["type"]) == (409, "urn:problem-type:unitscope:generation-replaced")
    return True


def test_generations_go(serve: Serve, own: Path, photos: Path) -> None:
    client = serve(own, check_seconds=0.0)
    assert not gone(client, 1)
    assert gone(client, 2), "not there yet"
    grow(own, photos, "more")
    assert [gone(client, generation) for generation in (1, 2, 3)] == [False, False, True]
    grow(own, photos, "and more")
    assert [gone(client, generation) for generation in (1, 2, 3)] == [True, False, False]


def test_a_generation_that_shows_removed_images_is_gone_at_once(serve: Serve, own: Path, photos: Path) -> None:
    client = serve(own, check_seconds=0.0)
    assert not gone(client, 1)
    remove(own, ids=[3])
    assert [gone(client, generation) for generation in (1, 2)] == [True, False]
    compact(own)
    assert [gone(client, generation) for generation in (2, 3)] == [True, False]


def test_a_replica_that_is_behind_looks_for_the_generation_asked_for(serve: Serve, own: Path, photos: Path) -> None:
    ahead, behind = serve(own, check_seconds=0.0), serve(own, check_seconds=3600.0)
    assert behind.get("/v1/indexes/own").json["generation"] == 1
    grow(own, photos, "more")
    following = link(ahead, "/v1/indexes/own/images?limit=3", "next")
    assert behind.get(following).json == ahead.get(following).json


def test_generations_are_counted_anew_in_a_new_index(serve: Serve, own: Path, photos: Path, tmp_path: Path) -> None:
    client = serve(own, check_seconds=0.0)
    shutil.copytree(own, tmp_path / "copy")
    grow(own, photos, "more")
    assert not gone(client, 2)
    shutil.rmtree(own)
    shutil.copytree(tmp_path / "copy", own)
    assert [gone(client, generation) for generation in (1, 2)] == [False, True]
