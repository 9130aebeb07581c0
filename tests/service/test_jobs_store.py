"""Jobs as files: who holds one, what damage does, what makes room, and what a runner leaves to others."""

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indexer.errors import Stopped
from indexer.jobs.upkeep.remove import remove
from service.indexes.served import catalog_of
from service.inference.loader import Networks
from service.jobs import claims, runner, tidy, watch
from service.jobs.kinds.registry import KINDS, Kind
from service.jobs.kinds.work import Work
from service.jobs.records import Outcome, Request
from service.jobs.runner import Runner
from service.jobs.store import Store
from service.jobs.watch import TICK, Watch
from service.settings import Settings
from tests.planted import build_planted, numbered, write_colours
from tests.waiting import wait_until


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def request(number: int = 0, **changes: object) -> Request:
    given = {"kind": "importance", "version": 1, "index": "index", "state": "x", "generation": 1}
    return Request(**(given | {"parameters": {"number": number}} | changes))


def add(store: Store, asked: Request) -> str:
    with store.alone():
        store.add(asked)
    return asked.id


def state(store: Store, id_: str) -> str:
    job = store.job(id_)
    assert job is not None
    return job.state


# -- claims ---------------------------------------------------------------------------------------------------------


def test_the_first_to_claim_a_job_holds_it_until_its_process_ends(store: Store) -> None:
    id_ = add(store, request())
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from service.jobs.store import Store\n"
        "assert Store(Path(sys.argv[1])).claim(sys.argv[2]) is not None\n"
        "print('claimed', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(store.root), id_], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"claimed\n"
        assert (state(store, id_), store.claim(id_)) == ("running", None)
        other.kill()
        other.wait()
    assert (state(store, id_), store.claim(id_)) == ("lost", None)


@pytest.mark.parametrize("locks_are_handed_on", [True, False])
def test_a_process_of_another_machine_is_dead_once_it_is_silent(
    store: Store, monkeypatch: pytest.MonkeyPatch, locks_are_handed_on: bool
) -> None:
    id_ = add(store, request())
    held = store.claim(id_)
    assert held is not None
    store.put_progress(id_, 1, 2, time.time())
    monkeypatch.setattr(claims, "_boot", lambda: "of another machine")
    if not locks_are_handed_on:
        fcntl.flock(held, fcntl.LOCK_UN)
    assert state(store, id_) == "running"
    old = time.time() - claims.SILENT_SECONDS - 1
    for name in (claims.CLAIM, claims.PROGRESS):
        os.utime(store.root / id_ / name, (old, old))
    assert state(store, id_) == ("running" if locks_are_handed_on else "lost")
    store.beat(id_)
    assert state(store, id_) == "running"
    os.close(held)


def test_a_file_system_without_locks_goes_by_silence(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refused)
    id_ = add(store, request())
    held = store.claim(id_)
    assert (held is not None, state(store, id_)) == (True, "running")


# -- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["request.json", "claim.json", "progress.json", "outcome.json", "result.json"])
@pytest.mark.parametrize("damage", [b"", b"x", b"\xff" * 99, None])
def test_damaged_files_count_as_not_there(store: Store, name: str, damage: bytes | None) -> None:
    id_ = add(store, request())
    held = store.claim(id_)
    assert held is not None
    store.put_progress(id_, 1, 2, 3.0)
    store.put_result(id_, {"number": 7})
    store.end(id_, Outcome("done"))
    os.close(held)
    assert (state(store, id_), store.result(id_)) == ("done", {"number": 7})
    file = store.root / id_ / name
    file.write_bytes(file.read_bytes()[:-1] + b"0" if damage is None else damage)
    if name == "request.json":
        assert store.job(id_) is None
    elif name == "result.json":
        assert (store.result(id_), state(store, id_)) == (None, "lost")
    else:
        assert state(store, id_) == ("lost" if name == "outcome.json" else "done")
    assert id_ in store.ids()
    add(store, request())
    assert state(store, id_) == "queued"


def test_a_job_moved_under_another_name_is_not_that_job(store: Store) -> None:
    id_ = add(store, request())
    (store.root / id_).rename(store.root / ("0" * 24))
    assert store.job("0" * 24) is None
    assert [store.job(name) for name in ("..", "", "lock", id_ + "/..", id_.upper())] == [None] * 5


# -- room -----------------------------------------------------------------------------------------------------------


def test_the_oldest_that_have_ended_make_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [add(store, request(number)) for number in range(6)]
    for age, id_ in enumerate(reversed(ids[:5])):
        store.put_result(id_, "x" * 10_000)
        store.end(id_, Outcome("done"))
        os.utime(store.root / id_, (1e9 - age, 1e9 - age))
    os.utime(store.root / ids[5], (1.0, 1.0))  # it waits, however old it is
    tidy.make_room(store, 35_000)
    assert set(store.ids()) == {*ids[2:5], ids[5]}
    monkeypatch.setattr(tidy, "MOST_ENDED", 1)
    tidy.make_room(store, 1 << 30)
    assert set(store.ids()) == {ids[4], ids[5]}
    (store.root / ("f" * 24)).mkdir()
    os.utime(store.root / ("f" * 24), (1.0, 1.0))
    tidy.make_room(store, 1 << 30)
    assert set(store.ids()) == {ids[4], ids[5]}


# -- running --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    return build_planted(write_colours(folder / "photos", 2, numbered(3)), folder / "index")


class Bench:
    """A runner over an index, in this thread."""

    def __init__(self, folder: Path, store: Store, **settings: object) -> None:
        self.store = store
        self.settings = Settings(directory=folder, examine=False, check_seconds=0, results=store.root, **settings)
        self.catalog = catalog_of(self.settings, None)
        self.leaving = False
        self.stuck = 0
        networks = Networks(None, None, 1)
        self.runner = Runner(
            store, self.catalog, networks, self.settings, lambda: self.leaving, lambda: setattr(self, "stuck", 1)
        )

    def request(self, number: int = 0, **changes: object) -> Request:
        held = self.catalog.ask("index", lambda held: (held.state, held.index.generation))
        return replace(request(number), state=held[0], generation=held[1], **changes)

    def add(self, *changes: object, **more: object) -> str:
        return add(self.store, self.request(*changes, **more))


@pytest.fixture
def bench(folder: Path, store: Store) -> Iterator[Bench]:
    bench = Bench(folder, store)
    yield bench
    bench.catalog.close()


def runs(monkeypatch: pytest.MonkeyPatch, run: object) -> None:
    monkeypatch.setitem(KINDS, "importance", Kind(1, run))


def test_jobs_run_oldest_first_and_a_failure_stops_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def run(work: Work) -> dict:
        ran.append(work.parameters["number"])
        return {"never": 1 / (work.parameters["number"] - 1)}

    runs(monkeypatch, run)
    ids = [bench.add(number, created=float(9 - number)) for number in range(3)]
    assert [bench.runner.run_next() for _ in range(4)] == [True, True, True, False]
    assert ran == [2, 1, 0]
    assert [state(bench.store, id_) for id_ in ids] == ["done", "failed", "done"]


def expired(bench: Bench, number: int) -> str:
    """A job about an upload that has ended and whose time is over."""
    asked = request(number, kind="upload-why", created=1.0, expires=time.time() - 1)
    with bench.store.alone():
        bench.store.add(asked, b"an image")
    bench.store.end(asked.id, Outcome("done"))
    return asked.id


def test_between_jobs_that_wait_uploads_go_and_results_find_room(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, found = Bench(folder, store, results_bytes=25_000), []

    def run(work: Work) -> dict:
        found.append((set(store.ids()) - set(asked), sum(map(store.size, store.ids()))))
        expired(bench, work.parameters["number"])
        return {"a": "x" * 9_000}

    runs(monkeypatch, run)
    asked = [bench.add(number) for number in range(6)]
    bench.runner.run_waiting()
    assert len(found) == 6
    assert [uploads for uploads, _ in found] == [set()] * 6
    assert max(size for _, size in found) <= 25_000
    assert [state(store, id_) for id_ in asked if id_ in store.ids()] == ["done", "done"]
    bench.catalog.close()


def test_what_cannot_be_tidied_holds_up_no_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, lambda work: {})
    ids = [bench.add(number) for number in range(3)]
    gone = expired(bench, 3)

    def fails(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("service.jobs.store.remove", fails)
        bench.runner.run_waiting()
    assert [state(bench.store, id_) for id_ in ids] == ["done"] * 3
    assert gone in bench.store.ids()
    bench.runner.run_waiting()
    assert gone not in bench.store.ids()


def test_uploads_go_in_time_while_a_long_job_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "_EXPIRE_SECONDS", 0.0)
    added = []

    def run(work: Work) -> dict:
        asked = request(7, kind="upload-why", created=time.time() + 9, expires=time.time() + 0.5)
        with bench.store.alone():
            bench.store.add(asked, b"an image")  # its turn would come after this job
        added.extend([expired(bench, 8), asked.id])
        wait_until(lambda: not set(added) & set(bench.store.ids()))
        return {}

    runs(monkeypatch, run)
    id_ = bench.add()
    assert bench.runner.run_next()
    assert (len(added), state(bench.store, id_)) == (2, "done")


def test_a_result_that_json_cannot_hold_fails(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runs(monkeypatch, lambda work: {"accuracy": float("nan")})
    id_ = bench.add()
    assert bench.runner.run_next()
    job = bench.store.job(id_)
    assert job is not None
    assert (job.state, job.detail) == ("failed", "its result has figures that are not finite; ask for smaller changes")


def test_a_job_that_is_deleted_before_it_is_claimed_is_not_run(store: Store) -> None:
    id_ = add(store, request())
    with store.alone():
        store.delete(id_)
    assert (store.claim(id_), store.job(id_)) == (None, None)


def test_a_job_waits_again_where_its_process_is_told_to_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(work: Work) -> dict:
        bench.leaving = True
        wait_until(work.stop)
        work.progress(1, 2)
        return {}

    runs(monkeypatch, run)
    id_ = bench.add()
    assert bench.runner.run_next()
    assert (state(bench.store, id_), bench.stuck) == ("queued", 0)
    bench.leaving = False
    runs(monkeypatch, lambda work: {"a": 1})
    assert bench.runner.run_next()
    assert bench.store.result(id_) == {"a": 1}


def test_what_asks_nobody_is_given_up_when_its_time_is_over(store: Store) -> None:
    id_ = add(store, request())
    held = store.claim(id_)
    assert held is not None
    given_up = []
    with Watch(store, id_, 0.1, lambda: False, given_up.append, grace=0.1):
        wait_until(lambda: given_up)
        time.sleep(3 * TICK)  # it is told once
    assert given_up == ["late"]
    with Watch(store, id_, 60, lambda: False, given_up.append) as watch:
        store.cancel(id_)
        wait_until(watch.stop)
        with pytest.raises(Stopped):
            watch.progress(1, 2)
    os.close(held)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("[enforce fail] can't allocate memory: 5 bytes")])
def test_a_job_that_needs_too_much_memory_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def run(work: Work) -> dict:
        raise error

    runs(monkeypatch, run)
    id_ = bench.add()
    assert bench.runner.run_next()
    job = bench.store.job(id_)
    assert job is not None
    assert job.detail == "it needs more memory than --job-bytes allows (4294967296 bytes); ask for less"


def test_a_result_larger_than_all_that_is_allowed_fails(
    folder: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(folder, store, results_bytes=1 << 20)
    runs(monkeypatch, lambda work: {"text": "x" * (1 << 20)})
    id_ = bench.add()
    assert bench.runner.run_next()
    job = store.job(id_)
    assert job is not None
    assert (job.state, "--results-bytes" in (job.detail or "")) == ("failed", True)
    assert store.size(id_) < 10_000
    bench.catalog.close()


def test_a_job_of_a_generation_that_was_replaced_fails_and_one_not_yet_seen_waits(
    folder: Path, store: Store, tmp_path: Path
) -> None:
    shutil.copytree(folder, tmp_path / "index")
    bench = Bench(tmp_path / "index", store)
    old = bench.add()
    newer = add(store, replace(bench.request(), state="y", generation=99))
    remove(tmp_path / "index", [0])
    while bench.runner.run_next():
        pass
    job = store.job(old)
    assert job is not None
    assert (job.state, state(store, newer)) == ("failed", "queued")
    assert job.detail == "generation 1 of the index was replaced by 2 before it ran; ask again"
    bench.catalog.close()


def test_what_nobody_here_can_run_is_left_to_others_for_an_hour(bench: Bench) -> None:
    strange = [
        replace(request(1), index="other"), replace(bench.request(2), kind="sculpture"),
        replace(bench.request(3), version=9),
    ]  # fmt: skip
    ids = [add(bench.store, each) for each in strange]
    assert not bench.runner.run_next()
    assert {state(bench.store, id_) for id_ in ids} == {"queued"}
    long_ago = time.time() - runner.ORPHANED_SECONDS - 1
    for each in strange:
        add(bench.store, replace(each, created=long_ago))
    while bench.runner.run_next():
        pass
    assert {state(bench.store, id_) for id_ in ids} == {"failed"}
