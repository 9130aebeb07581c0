"""Replicas that serve from a bucket of a real S3 server: new generations, and the server away and back."""

from pathlib import Path

import pytest

from indexer.jobs.upkeep.remove import remove
from indexer.store.remote import RemotePath
from tests.object_store import ObjectStore, upload
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.waiting import wait_until

PATCHES = "/v1/indexes/own/layers/features.12/neurons/3/patches"


@pytest.fixture
def bucket(object_store: ObjectStore, small_index: Path, request: pytest.FixtureRequest) -> RemotePath:
    """A copy of `small_index` in the bucket, called "own"."""
    return upload(small_index, object_store.place(f"{request.node.name}/own"))


@pytest.fixture
def replicas(serve: Serve, bucket: RemotePath, tmp_path: Path) -> list[ConformingClient]:
    """Two services over the folder of indexes, with a disk of their own each."""
    return [serve(bucket.parent, check_seconds=0.05, cache=tmp_path / f"copies {n}") for n in range(2)]


def test_answers_are_those_of_the_local_index(serve: Serve, replicas: list, small_index: Path) -> None:
    local = serve(small_index)
    for query in ("", "?per_image=all&limit=20", "?y=2&x=3", "?class=boats"):
        expected = local.get(PATCHES.replace("own", "small") + query).json["items"]
        for replica in replicas:
            found = replica.get(PATCHES + query).json["items"]
            drop = [{key: value for key, value in item.items() if key != "links"} for item in found]
            assert drop == [{key: value for key, value in item.items() if key != "links"} for item in expected]
    similar = "/v1/indexes/own/images/3/layers/features.12/cells/2,3/similar"
    assert [item["image"] for item in replicas[0].get(similar).json["items"]] == [
        item["image"] for item in local.get(similar.replace("own", "small")).json["items"]
    ]
    assert [item["name"] for item in replicas[0].get("/v1/indexes").json["items"]] == ["own"]


def test_replicas_move_to_a_new_generation(replicas: list[ConformingClient], bucket: RemotePath) -> None:
    tags = {replica.get(PATCHES).headers["ETag"] for replica in replicas}
    assert len(tags) == 1
    remove(bucket, ids=[3])
    for replica in replicas:
        wait_until(lambda replica=replica: replica.get("/v1/indexes/own").json["generation"] == 2)
        assert replica.get("/v1/indexes/own/images/3").status_code == 404
    assert {replica.get(PATCHES).headers["ETag"] for replica in replicas}.isdisjoint(tags)


def test_the_server_is_away_and_back(replicas: list[ConformingClient], object_store: ObjectStore) -> None:
    replica, other = replicas
    before = replica.get(PATCHES).json
    object_store.stop()
    try:
        assert replica.get(PATCHES).json == before, "what is copied answers on"
        assert replica.get("/v1/indexes").json["total"] == 1
        for client, path in ((replica, PATCHES + "?per_image=all"), (other, PATCHES)):
            answer = client.get(path)
            assert (answer.status_code, answer.json["type"]) == (503, "urn:problem-type:unitscope:index-unavailable")
            assert answer.headers["Retry-After"]
            assert "127.0.0.1" not in answer.text
    finally:
        object_store.start()
    for client in replicas:
        wait_until(lambda client=client: client.get(PATCHES).status_code == 200)
        assert client.get(PATCHES + "?per_image=all").status_code == 200


def test_each_application_keeps_copies_where_its_own_settings_say(
    replicas: list[ConformingClient], bucket: RemotePath, tmp_path: Path
) -> None:
    folders = [tmp_path / f"copies {number}" for number in range(2)]
    for number, client in enumerate(replicas):
        assert client.get("/v1/indexes/own/layers/features.12/neurons/3/patches?limit=2").status_code == 200
        assert [any(folder.glob("*.h5")) for folder in folders] == [True, number == 1]
