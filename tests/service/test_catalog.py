"""Which indexes are served: new generations, many indexes, missing and damaged ones."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import faiss
import pytest

import indexer
from indexer.errors import DamagedFile, StorageUnavailable
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from service.errors import IndexUnavailable
from service.indexes.catalog import Catalog
from service.indexes.generations import OpenGeneration
from tests.service.conftest import Serve, make_app
from tests.waiting import wait_until

LAYER = "features.12"


def storage(folder: Path, before: list[Callable[[], None]]) -> Path:
    """The folder, which does what a test wants before it lists what is in it."""

    class Storage(type(folder)):
        def iterdir(self) -> Iterator[Path]:
            for action in before:
                action()
            return super().iterdir()

    return Storage(folder)


def descriptors(folder: Path) -> int:
    """How many files below a folder this process has open."""
    links = (os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd"))
    return sum(link.startswith(str(folder)) for link in links)


def test_a_folder_of_indexes(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    for name in ("b", "a c", "é"):
        shutil.copytree(small_index, tmp_path / "all" / name)
    (tmp_path / "all" / "no index").mkdir()
    (tmp_path / "all" / "file").write_text("")
    shutil.copytree(small_index, tmp_path / "all" / ".hidden")
    client = serve(tmp_path / "all", check_seconds=0.0)
    items = client.get("/v1/indexes").json["items"]
    assert [item["name"] for item in items] == ["a c", "b", "é"]
    assert [client.get(item["links"]["index"]).json["name"] for item in items] == ["a c", "b", "é"]
    assert client.get("/v1/indexes/.hidden").status_code == 404
    shutil.copytree(small_index, tmp_path / "all" / "new")
    shutil.rmtree(tmp_path / "all" / "b")
    assert client.get("/v1/indexes/new").status_code == 200
    assert client.get("/v1/indexes/b").status_code == 404
    assert [item["name"] for item in client.get("/v1/indexes").json["items"]] == ["a c", "new", "é"]


def test_an_empty_folder(serve: Serve, tmp_path: Path) -> None:
    client = serve(tmp_path)
    assert client.get("/v1/indexes").json == {"items": [], "total": 0, "limit": 0, "offset": 0}
    assert client.get("/readyz").json == {"status": "ready", "indexes": []}
    assert client.get("/v1/indexes/any").status_code == 404


def test_an_index_whose_first_generation_is_still_being_built(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    place = tmp_path / "own"
    place.mkdir()
    client = serve(place, check_seconds=0.0)
    assert client.get("/v1/indexes").json["total"] == 0
    shutil.copytree(small_index, place, dirs_exist_ok=True)
    assert client.get("/v1/indexes/own").status_code == 200


def test_a_directory_that_is_there_only_later(serve: Serve, small_index: Path, tmp_path: Path) -> None:
    client = serve(tmp_path / "later", check_seconds=0.0)
    assert client.get("/readyz").status_code == 503
    shutil.copytree(small_index, tmp_path / "later" / "own")
    assert client.get("/v1/indexes/own").status_code == 200


def test_while_one_looks_for_indexes_in_slow_storage_the_others_are_answered(own_index: Path) -> None:
    before: list[Callable[[], None]] = []
    catalog = Catalog(storage(own_index.parent, before), indexer.open, check_seconds=0.0)
    assert catalog.names() == ["own"]
    asked, answers = threading.Event(), threading.Event()

    def slow() -> None:
        asked.set()
        assert answers.wait(30)

    before.append(slow)
    looking = threading.Thread(target=catalog.names)
    looking.start()
    try:
        assert asked.wait(30)
        assert catalog.ask("own", lambda held: held.index.name) == "own"
    finally:
        answers.set()
        looking.join()
        catalog.close()


def test_storage_that_does_not_answer_is_asked_less_often(own_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked, before = 100.0, [], []
    monkeypatch.setattr("service.indexes.lookout.time", SimpleNamespace(monotonic=lambda: now))
    catalog = Catalog(storage(own_index.parent, before), indexer.open, check_seconds=1.0)
    assert catalog.names() == ["own"]

    def silent() -> None:
        asked.append(now)
        raise StorageUnavailable("it does not answer")

    before.append(silent)
    for second in range(101, 131):
        now = float(second)
        assert catalog.names() == ["own"]
    assert asked == [101, 111, 121]
    before.clear()
    now = 131.0
    assert catalog.names() == ["own"]
    catalog.close()


def test_a_new_generation_is_served(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    before = client.get("/v1/indexes/own").json
    remove(own_index, ids=[3])
    after = client.get("/v1/indexes/own").json
    assert (after["generation"], after["images"]) == (before["generation"] + 1, before["images"] - 1)
    assert client.get("/v1/indexes/own/images/3").status_code == 404


def test_the_manifest_is_not_looked_at_with_every_request(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=3600.0)
    before = client.get("/v1/indexes/own").json["generation"]
    remove(own_index, ids=[3])
    assert client.get("/v1/indexes/own").json["generation"] == before


def test_a_question_under_way_keeps_its_generation(own_index: Path) -> None:
    catalog = Catalog(own_index, indexer.open, check_seconds=0.0)

    def question(held: OpenGeneration) -> int:
        remove(own_index, ids=[5])
        compact(own_index)  # deletes the shards of this generation
        assert catalog.ask("own", lambda newer: newer.index.generation) > held.index.generation
        assert len(held.index.top_patches(LAYER, 3, per_image="all", limit=5).items) == 5
        return held.index.image(5).id

    assert catalog.ask("own", question) == 5
    catalog.close()
    assert descriptors(own_index) == 0


def test_replaced_generations_are_closed(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    counts = []
    for image in (1, 2, 3):
        remove(own_index, ids=[image])
        assert client.get(f"/v1/indexes/own/layers/{LAYER}/neurons/3/patches?per_image=all").status_code == 200
        counts.append(descriptors(own_index))
    assert counts[0] == counts[1] == counts[2] > 0


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_generations_change_under_load_without_one_failed_or_mixed_answer(own_index: Path, seed: int) -> None:
    with indexer.open(own_index) as index:
        ids = index.images.id.tolist()
    app = make_app(own_index, check_seconds=0.01)
    ended = threading.Event()
    failures: list[str] = []
    served: set[int] = set()
    urls = (
        f"/v1/indexes/own/layers/{LAYER}/neurons/{seed}/patches?limit=100",
        f"/v1/indexes/own/layers/{LAYER}/neurons/{seed}/patches?limit=100&y=0&x=0",
        f"/v1/indexes/own/images/40/layers/{LAYER}/cells/1,1/similar?limit=100",
        "/v1/indexes/own/images?limit=100",
    )

    def ask() -> None:
        faiss.omp_set_num_threads(1)  # of this thread, as in a process of the service
        client = app.test_client()
        while not ended.is_set():
            for url in urls:
                answer = client.get(url)
                if answer.status_code != 200:
                    failures.append(f"{url}: {answer.get_data(as_text=True)}")
                    return
                images = {item["image"] for item in answer.json["items"]}
                # Images go one after the other in order of ids, so how many are left says which.
                if images != set(ids[-answer.json["total"] :]):
                    failures.append(f"{url}: {sorted(images)} are not the last {answer.json['total']}")
                served.add(len(images))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    # A process of its own, as in life: here it would wait for the interpreter's lock at every call.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as job:
        for number, image in enumerate(ids[:5]):
            job.submit(remove, own_index, ids=[image]).result()
            if number == 3:
                job.submit(compact, own_index).result()
    wait_until(lambda: bool(failures) or len(ids) - 5 in served)
    ended.set()
    for thread in threads:
        thread.join()
    app.close()
    assert not failures
    assert len(served) >= 3, served


def test_an_index_that_goes_away_and_comes_back(serve: Serve, own_index: Path) -> None:
    client = serve(own_index, check_seconds=0.0)
    url = f"/v1/indexes/own/layers/{LAYER}/neurons/3/patches"
    before = client.get(url).json
    own_index.rename(own_index.parent / "elsewhere")
    for path in (url, "/v1/indexes/own", "/readyz"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json["type"].endswith(":index-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/healthz").status_code == 200
    (own_index.parent / "elsewhere").rename(own_index)
    assert client.get(url).json == before
    assert client.get("/readyz").json["status"] == "ready"


def test_a_folder_that_goes_away_and_comes_back(serve: Serve, own_index: Path) -> None:
    folder, away = own_index.parent, own_index.parent.parent / "away"
    client = serve(folder, check_seconds=0.0)
    assert client.get("/v1/indexes/own").status_code == 200
    folder.rename(away)
    assert [client.get(path).status_code for path in ("/v1/indexes/own", "/v1/indexes", "/readyz")] == [503] * 3
    away.rename(folder)
    assert client.get("/v1/indexes/own").status_code == 200


def overwrite(path: Path) -> None:
    path.write_bytes(b"\0" * 100)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [overwrite, cut])
@pytest.mark.parametrize("file", ["manifest.json", "images.h5", "features.12.h5"])
def test_a_damaged_index_does_not_take_others_down(
    serve: Serve, small_index: Path, tmp_path: Path, file: str, damage: Callable[[Path], None]
) -> None:
    for name in ("good", "bad"):
        shutil.copytree(small_index, tmp_path / name)
    (path,) = (tmp_path / "bad").rglob(file)
    client = serve(tmp_path, check_seconds=0.0)
    assert client.get("/readyz").json["status"] == "ready"
    damage(path)
    os.utime(tmp_path / "bad" / "manifest.json")  # as if it had been published like this

    answer = client.get("/v1/indexes/bad")
    assert answer.status_code == 503
    assert file in answer.json["detail"]
    assert str(tmp_path) not in answer.get_data(as_text=True)
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
    assert [(item["name"], item["ready"]) for item in ready.json["indexes"]] == [("bad", False), ("good", True)]
    listed = {item["name"]: item for item in client.get("/v1/indexes").json["items"]}
    assert file in listed["bad"]["detail"]
    assert listed["bad"]["images"] is None
    assert client.get("/v1/indexes/good/images").json["total"] == 40

    shutil.copytree(small_index, tmp_path / "bad", dirs_exist_ok=True)
    assert client.get("/v1/indexes/bad/images").json["total"] == 40
    assert client.get("/readyz").json["status"] == "ready"


def test_a_damaged_shard_spoils_only_what_needs_it_until_it_is_repaired(serve: Serve, own_index: Path) -> None:
    shard = own_index / "shards" / "000001.h5"
    whole = shard.read_bytes()
    overwrite(shard)
    client = serve(own_index, check_seconds=0.0)
    base = f"/v1/indexes/own/layers/{LAYER}/neurons/3/patches"
    assert client.get(base).status_code == 200
    answer = client.get(f"{base}?per_image=all&limit=1000")
    assert answer.status_code == 503
    assert "shards/000001.h5" in answer.json["detail"]
    assert client.get("/v1/indexes/own/images/1/neurons").status_code == 200
    assert client.get(f"{base}?per_image=all&limit=1000").status_code == 503
    shard.write_bytes(whole)
    assert client.get(f"{base}?per_image=all&limit=1000").status_code == 200


def test_damage_of_a_generation_that_is_still_the_published_one_is_reported(own_index: Path) -> None:
    catalog = Catalog(own_index, indexer.open, check_seconds=3600.0)
    calls = []

    def question(held: OpenGeneration) -> None:
        calls.append(held.index.generation)
        raise DamagedFile("derived/x", "is gone")

    with pytest.raises(DamagedFile):
        catalog.ask("own", question)
    assert len(calls) == 1
    remove(own_index, ids=[1])
    with pytest.raises(DamagedFile):
        catalog.ask("own", question)
    assert calls == [calls[0], calls[0], calls[0] + 1]
    catalog.close()


def test_several_indexes_are_asked_again_where_one_of_them_was_replaced(small_index: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        shutil.copytree(small_index, tmp_path / name)
    catalog = Catalog(tmp_path, indexer.open, check_seconds=3600.0)
    asked: list[list[tuple[str, int]]] = []

    def question(generations: Sequence[OpenGeneration]) -> str:
        asked.append([(held.index.name, held.index.generation) for held in generations])
        if len(asked) == 1:
            remove(tmp_path / "b", ids=[1])
            raise DamagedFile("derived/x", "is gone")
        return "answer"

    assert catalog.ask_several(["b", "a", "b"], question) == "answer"
    assert asked == [[("b", 1), ("a", 1), ("b", 1)], [("b", 2), ("a", 1), ("b", 2)]]
    catalog.close()
    assert descriptors(tmp_path) == 0


def test_a_closed_catalog_answers_no_more(own_index: Path) -> None:
    catalog = Catalog(own_index, indexer.open, check_seconds=3600.0)
    assert catalog.names() == ["own"]
    assert catalog.ask("own", lambda held: held.index.name) == "own"
    served = catalog._served["own"]
    catalog.close()
    with pytest.raises(IndexUnavailable), served.lease():
        pass
