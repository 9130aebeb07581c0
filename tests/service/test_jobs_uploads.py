"""Jobs about uploads: what they find, who sees them, and that they go with the image when their time is over."""

import io
import os
import time
from pathlib import Path
from typing import Any

import pytest

import indexer
from indexer.explain.why import why
from indexer.network.restore import network_of
from service.access import tokens
from service.jobs.queue import Jobs
from service.jobs.records import Outcome, Request
from service.jobs.store import Store
from service.jobs.tidy import remove_expired
from service.settings import Settings
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.jobs import MODEL, ended
from tests.service.test_learning import without_links
from tests.waiting import wait_until

URL = "/v1/indexes/index/upload-why"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uploads")
    return build_planted(write_colours(folder / "photos", 3, numbered(2), noise=90), folder / "index")


@pytest.fixture
def photo(folder: Path) -> Path:
    return min((folder.parent / "photos").rglob("*.png"))


def start(client: ConformingClient, data: bytes, query: str = "", **headers: Any) -> Any:
    form = {"image": (io.BytesIO(data), "a.png")}
    return client.post(f"{URL}{query}", data=form, content_type="multipart/form-data", headers=headers)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_every_layer_is_explained_as_that_of_an_indexed_image(
    serve: Serve, folder: Path, photo: Path, tmp_path: Path
) -> None:
    client = serve(folder, model=MODEL, results=tmp_path / "results", upload_seconds=60)
    asked = start(client, photo.read_bytes(), "?limit=2")
    assert asked.status_code == 202
    assert start(client, photo.read_bytes(), "?limit=2").json["job"] == asked.json["job"]
    assert start(client, photo.read_bytes(), "?limit=3").json["job"] != asked.json["job"]
    job = ended(client, asked.headers["Location"])
    assert job["state"] == "done"
    assert 0 < (time.time() + 60) - Store(tmp_path / "results").job(job["job"]).request.expires < 60
    answer = client.get(job["links"]["result"])
    assert answer.headers["Cache-Control"] == "no-store"
    with indexer.open(folder) as index:
        network = network_of(index.manifest.configuration, model=MODEL)
        image = index.images.find_path(str(photo.relative_to(folder.parent / "photos")))
        layers = [layer for layer in index.layers if layer != index.manifest.output]
        expected = [why(index, network, int(index.images.id[image]), layer, limit=2).as_dict() for layer in layers]
    size = {"width": answer.json["width"], "height": answer.json["height"]}
    assert without_links(answer.json["layers"]) == [size | one for one in expected]
    assert answer.json["left_out"] == []
    assert client.delete(job["links"]["self"]).status_code == 204
    assert client.get(job["links"]["self"]).status_code == 404
    assert not (tmp_path / "results" / job["job"]).exists()


def test_only_its_own_token_sees_a_job(serve: Serve, folder: Path, photo: Path, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    mine, other = (bearer(tokens.add(file, name, roles)) for name, roles in (("me", ("run",)), ("root", ("write",))))
    client = serve(folder, model=MODEL, results=tmp_path / "results", tokens=file)
    asked = start(client, photo.read_bytes(), **mine)
    url = asked.headers["Location"]
    assert ended(client, url, headers=mine)["state"] == "done"
    for path in (url, f"{url}/result"):
        assert client.get(path, headers=mine).status_code == 200
        assert client.get(path, headers=other).status_code == 404
    assert client.delete(url, headers=other).status_code == 404
    assert [client.get("/v1/jobs", headers=who).json["total"] for who in (mine, other)] == [1, 0]
    assert start(client, photo.read_bytes(), **other).json["job"] != asked.json["job"]


def test_what_is_no_image_fails(serve: Serve, folder: Path, tmp_path: Path) -> None:
    client = serve(folder, model=MODEL, results=tmp_path / "results")
    job = ended(client, start(client, b"no image").headers["Location"])
    assert (job["state"], job["links"]["result"]) == ("failed", None)
    assert "image" in job["detail"]
    assert start(client, b"x", "?for=nothing").status_code == 404


def test_an_upload_goes_when_its_time_is_over(tmp_path: Path) -> None:
    store, jobs = Store(tmp_path), Jobs(Settings(directory=tmp_path, results=tmp_path))
    past, later = (Request("upload-why", 1, "index", "s", 1, {"n": n}, None, 1.0, time.time() + n) for n in (-1, 99))
    for request in (past, later):
        with store.alone():
            store.add(request, b"an image")
    assert store.upload(past.id) == b"an image"
    remove_expired(store)
    assert [path.parent.name for path in tmp_path.rglob("upload")] == [later.id], "an upload goes at once"
    assert (store.job(past.id).state, store.job(later.id).state) == ("cancelled", "queued")
    assert [job.id for job in jobs.all()] == [later.id]
    remove_expired(store)
    assert store.ids() == [later.id]
    jobs.end(jobs.get(later.id))
    assert [path.name for path in tmp_path.rglob("upload")] == [], "whoever cancels a job deletes its upload at once"


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_whoever_asks_again_is_promised_the_whole_time(tmp_path: Path, state: str) -> None:
    store, jobs = Store(tmp_path), Jobs(Settings(directory=tmp_path, results=tmp_path))
    began = time.time()
    soon, later, between = (
        Request("upload-why", 1, "index", "s", 1, {}, None, began, began + seconds) for seconds in (1, 3600, 1800)
    )
    held = None
    job = jobs.submit(soon, b"an image")
    if state != "queued":
        held = store.claim(job.id)
        store.put_progress(job.id, 0, 9, began)
    if state == "done":
        store.put_result(job.id, {"a": 1})
        store.end(job.id, Outcome("done"))
    for asked in (later, between):
        again = jobs.submit(asked, b"an image")
        assert (again.id, again.state, again.request.expires) == (job.id, state, later.expires)
        assert jobs.get(job.id).request == later
    wait_until(lambda: time.time() > began + 1.1)
    remove_expired(store)
    assert (jobs.get(job.id).state, jobs.get(job.id).cancelling) == (state, False)
    assert store.upload(job.id) == b"an image"
    if held is not None:
        os.close(held)


def test_the_last_upload_goes_though_nobody_asks_for_anything_more(
    serve: Serve, folder: Path, photo: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    client = serve(folder, model=MODEL, results=results, upload_seconds=3)
    first = time.time()
    ids = [start(client, photo.read_bytes(), f"?limit={limit}").json["job"] for limit in (2, 3)]
    assert ids == [job["job"] for job in client.get("/v1/jobs").json["items"]][::-1]
    wait_until(lambda: not Store(results).ids())
    assert time.time() - first >= 3
    again = start(client, photo.read_bytes()).headers["Location"]
    assert ended(client, again)["state"] == "done", "whoever waited for uploads also takes new jobs"
