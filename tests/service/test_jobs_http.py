"""Jobs over HTTP: asked for, looked at, cancelled, and their results the library's."""

import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import indexer
from indexer.explain.edits import Edit
from indexer.explain.group import why_group
from indexer.explain.importance import importance
from indexer.explain.what_if import what_if
from indexer.jobs.upkeep.remove import remove
from indexer.network.restore import network_of
from service.jobs.kinds.registry import KINDS, Kind
from service.jobs.kinds.work import Work
from service.jobs.store import Store
from tests.planted import build_planted, numbered, write_colours
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.jobs import IMPORTANCE, INDEX, MODEL, SILENCE_0, WHAT_IF, WHY, Gated, ended, files
from tests.service.test_learning import without_links
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that answers some of class 2 as class 0."""
    folder = tmp_path_factory.mktemp("jobs")
    photos = write_colours(folder / "photos", 1, numbered(8), noise=90)
    return build_planted(photos, folder / "index", {0: 0.5})


@pytest.fixture
def client(serve: Serve, folder: Path, tmp_path: Path) -> ConformingClient:
    return serve(folder, model=MODEL, results=tmp_path / "results", check_seconds=0)


@pytest.fixture
def gated(monkeypatch: pytest.MonkeyPatch):
    """Importance waits until the test lets it go on."""
    gated = Gated()
    monkeypatch.setitem(KINDS, "importance", gated.kind)
    yield gated
    gated.go.set()


def test_the_result_of_a_what_if_is_the_librarys(client: ConformingClient, folder: Path) -> None:
    before = files(folder)
    edits = [{"neuron": 2, "how": "scale", "value": 0.5}, {"neuron": 0}]
    asked = client.post(WHAT_IF, json={"layer": "1", "edits": edits})
    assert (asked.status_code, asked.json["state"]) == (202, "queued")
    url = asked.headers["Location"]
    assert url == asked.json["links"]["self"] == f"/v1/jobs/{asked.json['job']}"
    job = ended(client, url)
    assert (job["state"], job["done"], job["current"]) == ("done", None, True)
    result = client.get(job["links"]["result"])
    with indexer.open(folder) as index:
        network = network_of(index.manifest.configuration, model=MODEL)
        expected = what_if(index, network, "1", [Edit(0), Edit(2, "scale", 0.5)]).as_dict()
    changed = expected.pop("changed")
    assert changed, "the edit changes answers"
    assert {name: result.json[name] for name in expected} == expected
    listed = client.get(result.json["links"]["changed"]).json
    assert without_links(listed["items"]) == changed
    counts = result.json["changed"]
    assert counts["total"] == listed["total"] == len(changed)
    for turned in ("wrong", "right", "other"):
        page = client.get(f"{url}/changed?turned={turned}&limit=1").json
        assert (page["total"], len(page["items"])) == (counts[turned], min(1, counts[turned]))
    for one in listed["items"]:
        assert {client.get(link).status_code for link in one["links"].values()} == {200}
    again = client.get(job["links"]["result"], headers={"If-None-Match": result.headers["ETag"]})
    assert again.status_code == 304
    assert files(folder) == before, "nothing is written into an index"


def test_a_what_if_without_edits_changes_nothing(client: ConformingClient) -> None:
    job = ended(client, client.post(WHAT_IF, json={"layer": "1", "edits": []}).headers["Location"])
    result = client.get(job["links"]["result"]).json
    assert result["changed"]["total"] == 0
    assert result["accuracy_before"] == result["accuracy_after"]
    assert result["confusion_before"] == result["confusion_after"]


def test_importance_is_there_once_it_is_measured_and_is_the_librarys(client: ConformingClient, folder: Path) -> None:
    missing = client.get(IMPORTANCE)
    assert missing.status_code == 404
    assert "POST to this URL" in missing.json["detail"]
    job = ended(client, client.post(IMPORTANCE, json={"images": 6}).headers["Location"])
    with indexer.open(folder) as index:
        network = network_of(index.manifest.configuration, model=MODEL)
        expected = importance(index, network, "1", images=6).as_dict()
    for found in (client.get(IMPORTANCE).json, client.get(job["links"]["result"]).json):
        assert {name: found[name] for name in expected if name != "neurons"} == {
            name: value for name, value in expected.items() if name != "neurons"
        }
        assert without_links(found["neurons"]) == expected["neurons"]
    newer = ended(client, client.post(IMPORTANCE, json={"images": 5, "neurons": [1, 0]}).headers["Location"])
    assert client.get(IMPORTANCE).json["job"] == newer["job"]
    assert client.get(f"{job['links']['self']}/changed").status_code == 404


def test_why_of_a_group_is_the_librarys(client: ConformingClient, folder: Path) -> None:
    assert "POST to this URL" in client.get(WHY).json["detail"]
    asked = client.post(WHY, json={"class": "2", "answered": "0", "sample": 4, "limit": 2})
    job = ended(client, asked.headers["Location"])
    assert (job["state"], job["links"]["again"]) == ("done", WHY)
    result = client.get(job["links"]["result"]).json
    with indexer.open(folder) as index:
        network = network_of(index.manifest.configuration, model=MODEL)
        expected = why_group(index, network, "1", class_="2", answered="0", sample=4, limit=2).as_dict()
    assert {name: without_links(result[name]) for name in expected} == expected
    assert client.get(result["for"]["links"]["neuron"]).status_code == 200
    assert client.get(WHY).json == result
    same = client.post(WHY, json={"images": [3, 1]}).headers["Location"]
    assert client.post(WHY, json={"images": [1, 3], "limit": 10}).headers["Location"] == same
    assert ended(client, same)["state"] == "done"


@pytest.mark.parametrize(
    ("path", "body", "status", "words"),
    [
        (WHY, {}, 422, "name the group"),
        (WHY, {"images": [1], "class": "0"}, 422, "not both"),
        (WHY, {"images": [99]}, 404, "99"),
        (WHY, {"answered": "cat"}, 404, "cat"),
        (WHY, {"class": "0", "for": "1", "against": "1"}, 422, "no difference"),
        (WHAT_IF, {"layer": "9", "edits": []}, 404, "has no layer '9'"),
        (WHAT_IF, {"layer": "1", "edits": [{"neuron": 99}]}, 404, "99"),
        (WHAT_IF, {"layer": "1", "edits": [{"neuron": 0}, {"neuron": 0}]}, 422, "edited twice"),
        (WHAT_IF, {"layer": "1", "edits": [{"neuron": 0, "how": "scale"}]}, 422, "scale needs a finite number"),
        (WHAT_IF, {"layer": "1", "edits": [{"neuron": 0, "value": 2}]}, 422, "silence takes no value"),
        (WHAT_IF, {"layer": "1", "edits": [{"neuron": 0, "how": "double"}]}, 422, "/edits/0/how"),
        (WHAT_IF, {"layer": "1", "edits": [], "class": "cats"}, 404, "cats"),
        (WHAT_IF, {"layer": "1"}, 422, "edits"),
        (IMPORTANCE, {"neurons": [77]}, 404, "77"),
        (IMPORTANCE, {"images": 0}, 422, "images"),
        (IMPORTANCE, {"neurons": [1, 1]}, 422, "neurons"),
        ("/v1/indexes/none/what-if", SILENCE_0, 404, "no index 'none'"),
    ],
)  # fmt: skip
def test_wrong_requests_are_refused_before_anything_waits(
    client: ConformingClient, path: str, body: dict, status: int, words: str
) -> None:
    refused = client.post(path, json=body)
    assert (refused.status_code, words in refused.json["detail"]) == (status, True), refused.json
    assert client.get("/v1/jobs").json["total"] == 0


def test_the_same_request_is_the_same_job(client: ConformingClient, gated: Gated) -> None:
    first = client.post(IMPORTANCE, json={"images": 5, "neurons": [2, 1]})
    same = [{"images": 5, "neurons": [1, 2]}, {"neurons": [2, 1], "images": 5.0}]
    assert {client.post(IMPORTANCE, json=body).headers["Location"] for body in same} == {first.headers["Location"]}
    others = [{"images": 4, "neurons": [1, 2]}, {"images": 5}, {}]
    assert len({client.post(IMPORTANCE, json=body).headers["Location"] for body in others}) == 3
    assert client.post(IMPORTANCE, json={"images": 100, "neurons": None}).json["job"] != first.json["job"]
    gated.go.set()
    assert ended(client, first.headers["Location"])["state"] == "done"
    runs = gated.runs
    assert client.post(IMPORTANCE, json={"images": 5, "neurons": [1, 2]}).json["state"] == "done"
    listed = client.get("/v1/jobs").json
    assert listed["total"] == 4
    assert {ended(client, job["links"]["self"])["state"] for job in listed["items"]} == {"done"}
    assert gated.runs == 4 >= runs


def test_fifty_at_once_run_once(client: ConformingClient, gated: Gated) -> None:
    app = client.application

    def ask(_: int) -> tuple[int, str]:
        answer = app.test_client().post(IMPORTANCE, json={})
        return answer.status_code, answer.headers["Location"]

    with ThreadPoolExecutor(50) as pool:
        answers = set(pool.map(ask, range(50)))
    assert len(answers) == 1
    gated.go.set()
    ((status, url),) = answers
    assert (status, ended(client, url)["state"], gated.runs) == (202, "done", 1)


def test_more_than_may_wait_are_sent_away(serve: Serve, folder: Path, tmp_path: Path, gated: Gated) -> None:
    client = serve(folder, model=MODEL, results=tmp_path / "results", job_queue=3)
    app = client.application
    first = client.post(IMPORTANCE, json={"images": 1000}).headers["Location"]
    gated.begun.wait(60)

    def ask(number: int) -> int:
        answer = app.test_client().post(IMPORTANCE, json={"images": number + 1})
        if answer.status_code == 503:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json["detail"] == "3 jobs wait already, as many as --job-queue allows; try again later"
        return answer.status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(ask, range(50)))
    assert (statuses.count(202), statuses.count(503)) == (3, 47)
    gated.go.set()
    assert ended(client, first)["state"] == "done"
    jobs = [ended(client, job["links"]["self"]) for job in client.get("/v1/jobs").json["items"]]
    assert {job["state"] for job in jobs} == {"done"}
    assert client.get("/v1/jobs?state=done").json["total"] == 4


def test_progress_is_shown_and_a_running_job_is_cancelled(client: ConformingClient, gated: Gated) -> None:
    url = client.post(IMPORTANCE, json={}).headers["Location"]
    waiting = client.post(IMPORTANCE, json={"images": 3}).headers["Location"]
    gated.begun.wait(60)
    running = wait_until(lambda: job if (job := client.get(url).json)["done"] else None)
    assert (running["state"], running["total"]) == ("running", 10)
    assert 0 < running["done"] < 10
    assert client.get(f"{url}/result").status_code == 404
    # One that waits ends at once, the other when it looks.
    assert (client.delete(waiting).json["state"], client.delete(url).status_code) == ("cancelled", 202)
    assert ended(client, url)["state"] == "cancelled"
    assert gated.runs == 1
    assert "cancelled and has no result" in client.get(f"{url}/result").json["detail"]
    gated.go.set()
    assert client.post(IMPORTANCE, json={}).json["state"] == "queued"
    assert ended(client, url)["state"] == "done"
    assert [client.delete(url).status_code, client.get(url).status_code, client.delete(url).status_code] == [
        204, 404, 404,
    ]  # fmt: skip


def test_a_job_that_is_being_cancelled_is_not_promised(
    client: ConformingClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = threading.Event(), threading.Event()

    def run(work: Work) -> dict[str, object]:
        if not begun.is_set():
            begun.set()
            assert go.wait(60)  # without looking whether it is to end
            wait_until(work.stop)
        return {"layer": work.parameters["layer"], "neurons": []}

    monkeypatch.setitem(KINDS, "importance", Kind(1, run))
    url = client.post(IMPORTANCE, json={}).headers["Location"]
    assert begun.wait(60)
    assert client.delete(url).json["cancelling"]
    refused = client.post(IMPORTANCE, json={})
    assert (refused.status_code, int(refused.headers["Retry-After"]) >= 1) == (503, True)
    assert refused.json["detail"].endswith("is being cancelled; ask again once it has ended")
    assert client.post(IMPORTANCE, json={"images": 3}).status_code == 202
    go.set()
    assert ended(client, url)["state"] == "cancelled"
    assert client.post(IMPORTANCE, json={}).json["cancelling"] is False
    assert ended(client, url)["state"] == "done"


def test_a_job_that_waits_again_and_was_cancelled_before_is_not_promised(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    client, store = serve(folder, results=tmp_path / "results", jobs=0), Store(tmp_path / "results")
    asked = client.post(IMPORTANCE, json={}).json
    held = store.claim(asked["job"])
    assert held is not None
    assert client.delete(asked["links"]["self"]).json["cancelling"]
    store.give_back(asked["job"])  # its process was told to end at this moment
    os.close(held)
    assert client.get(asked["links"]["self"]).json["cancelling"]
    assert client.post(IMPORTANCE, json={}).status_code == 503
    assert client.delete(asked["links"]["self"]).json["state"] == "cancelled"
    assert client.post(IMPORTANCE, json={}).status_code == 202


def test_a_job_that_takes_too_long_fails(serve: Serve, folder: Path, tmp_path: Path, gated: Gated) -> None:
    client = serve(folder, model=MODEL, results=tmp_path / "results", job_seconds=1.0)
    job = ended(client, client.post(IMPORTANCE, json={}).headers["Location"])
    assert job["state"] == "failed"
    assert job["detail"] == "it took longer than 1 seconds (--job-seconds); ask for less"


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_result_counts_as_not_there_and_is_made_again(
    client: ConformingClient, tmp_path: Path, damage: bytes | None
) -> None:
    asked = client.post(WHAT_IF, json=SILENCE_0)
    url = asked.headers["Location"]
    assert ended(client, url)["state"] == "done"
    whole = client.get(f"{url}/result").json
    file = tmp_path / "results" / asked.json["job"] / "result.json"
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"images":24', b'"images":25', 1) if damage is None else damage)
    assert file.read_bytes() != content
    lost = client.get(url).json
    assert (lost["state"], lost["links"]["result"]) == ("lost", None)
    assert "damaged" in lost["detail"]
    assert client.get(f"{url}/result").status_code == 404
    assert client.post(WHAT_IF, json=SILENCE_0).headers["Location"] == url
    assert ended(client, url)["state"] == "done"
    assert client.get(f"{url}/result").json == whole


def test_a_removed_image_is_hidden_at_once_and_its_results_are_erased(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "index")
    client = serve(tmp_path / "index", model=MODEL, results=tmp_path / "results", check_seconds=0)
    url = client.post(WHAT_IF, json=SILENCE_0).headers["Location"]
    assert ended(client, url)["state"] == "done"
    shown = client.get(f"{url}/changed").json["items"][0]
    remove(tmp_path / "index", [shown["image"]])
    for path in ("result", "changed"):
        gone = client.get(f"{url}/{path}")
        assert gone.status_code == 410
        assert gone.json["detail"].endswith(f"ask again: POST {WHAT_IF}")
    job = client.get(url).json
    assert (job["state"], job["current"], job["links"]["result"]) == ("done", False, None)
    newer = client.post(WHAT_IF, json=SILENCE_0).headers["Location"]
    assert newer != url
    assert ended(client, newer)["state"] == "done"
    assert shown["image"] not in [one["image"] for one in client.get(f"{newer}/changed").json["items"]]
    kept = tmp_path / "results"
    path = shown["path"].encode()
    wait_until(lambda: not any(path in content for content in files(kept).values()))
    assert client.get(f"{url}/result").status_code == 410


def test_without_a_folder_to_write_to_jobs_are_answered_with_the_name_of_the_setting(
    serve: Serve, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for settings in (
        {"host": "0.0.0.0"}, {"results": tmp_path / "file" / "below"}, {"results": Path("/proc/nothing")}
    ):  # fmt: skip
        client = serve(folder, model=MODEL, **settings)
        refused = client.post(WHAT_IF, json=SILENCE_0)
        assert (refused.status_code, refused.json["type"].split(":")[-1]) == (503, "jobs-unavailable")
        assert "--results" in refused.json["detail"]
        assert "UNITSCOPE_RESULTS" in refused.json["detail"]
        assert str(tmp_path) not in refused.json["detail"]
        assert client.get(INDEX).status_code == 200
        assert client.get("/metrics").status_code == 200


def test_a_loopback_service_has_a_folder_of_its_own(
    serve: Serve, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client = serve(folder, model=MODEL)
    job = ended(client, client.post(WHAT_IF, json=SILENCE_0).headers["Location"])
    assert job["state"] == "done"
    (own,) = tmp_path.glob("unitscope-results-*")
    assert own.stat().st_mode & 0o077 == 0
    own.chmod(0o777)
    refused = client.post(WHAT_IF, json=SILENCE_0)
    assert refused.status_code == 503
    assert "not this user's alone" in refused.json["detail"]


def test_what_a_job_raises_is_in_the_log_and_not_in_its_detail(
    client: ConformingClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(work: object) -> dict:
        raise RuntimeError("a secret of /home/somebody")

    monkeypatch.setitem(KINDS, "importance", type(KINDS["importance"])(1, fails))
    job = ended(client, client.post(IMPORTANCE, json={}).headers["Location"])
    assert job["state"] == "failed"
    assert "secret" not in job["detail"]
    assert "a secret of /home/somebody" in caplog.text


def test_jobs_are_counted_by_state(client: ConformingClient) -> None:
    job = ended(client, client.post(WHAT_IF, json=SILENCE_0).headers["Location"])
    text = client.get("/metrics").get_data(as_text=True)
    assert job["state"] == "done"
    assert 'unitscope_jobs{state="done"} 1.0' in text
    assert 'unitscope_jobs{state="lost"} 0.0' in text
    assert 'unitscope_jobs_ended_total{kind="what-if",state="done"}' in text
