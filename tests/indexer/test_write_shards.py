"""Failures while shards are written: which one reaches the caller, and that every shard written whole stays."""

import itertools
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.errors import DamagedFile
from indexer.jobs.build import BuildRequest, build
from indexer.jobs.cluster.dask_worker import kept_network
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline import write_shards
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode
from indexer.jobs.pipeline.write_shards import ShardTask, index_shards
from indexer.jobs.plan import ShardPlan, read_plan
from indexer.jobs.written import planned_shard
from indexer.shards.writer import ShardWriter
from tests.conftest import build_request, write_photos

SHARD, SHARDS = 5, 3
FULL = OSError(28, "No space left on device")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=8, count=SHARD * SHARDS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    task, plans = planned(tmp_path_factory.mktemp("whole"), photos)
    index_shards(task, plans, kept_network(task.configuration))
    return task.index / "shards"


def request(photos: Path, **changes: object) -> BuildRequest:
    settings = {"model": "tests.own_models:small", "layers": ("0", "1"), "preprocessing": {}, "shard_size": SHARD}
    return build_request(photos, **settings | {"batch_size": 2} | changes)


def planned(folder: Path, photos: Path) -> tuple[ShardTask, list[ShardPlan]]:
    """A job that has been planned, and nothing more."""

    def stop(task: ShardTask, plans: list[ShardPlan], *, progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(folder / "index", request(photos, engine=stop))
    plan = read_plan(folder / "index")
    return ShardTask(folder / "index", photos, plan.configuration, 2, Limits(passes=1)), plan.shards()


@pytest.fixture
def job(tmp_path: Path, photos: Path) -> tuple[ShardTask, list[ShardPlan]]:
    return planned(tmp_path, photos)


def images(task: ShardTask, plans: list[ShardPlan]) -> Iterator[Decoded | Skipped]:
    for plan in plans:
        for id, file in zip(plan.ids, plan.files, strict=True):
            yield decode(task.image_root, id, file, task.configuration.preprocessing, keep=False)


def check_there(task: ShardTask, whole: Path, numbers: list[int]) -> None:
    """These shards are there, byte for byte those of a job that nothing befell, and nothing beside them."""
    there = sorted((task.index / "shards").iterdir())
    assert [path.name for path in there] == [f"{number:06d}.h5" for number in numbers]
    assert all(path.read_bytes() == (whole / path.name).read_bytes() for path in there)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), FileExistsError(17, "File exists"), ValueError("a bad file")])
def test_a_shard_that_was_handed_over_is_kept_when_the_next_fails(
    job: tuple[ShardTask, list[ShardPlan]], whole: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where nothing of it had been written."""
    task, plans = job
    failing, add = threading.Event(), ShardWriter.add

    def late(*arguments: object) -> None:
        assert failing.wait(20)
        add(*arguments)

    def interrupted() -> Iterator[Decoded | Skipped]:
        yield from itertools.islice(images(task, plans), SHARD + 1)
        failing.set()
        raise error

    monkeypatch.setattr(ShardWriter, "add", late)
    with pytest.raises(type(error)) as caught:
        write_shards.write_shards(task, plans, kept_network(task.configuration), interrupted())
    assert caught.value is error
    check_there(task, whole, [0])


@pytest.mark.parametrize("failing", range(SHARDS))
@pytest.mark.parametrize(("step", "at_once"), [("__init__", 1), ("add", 1), ("add", 2), ("close", 1)])
@pytest.mark.parametrize("error", [FULL, FileExistsError(17, "File exists")])
def test_a_failure_at_any_step_of_a_shard_reaches_the_caller(
    job: tuple[ShardTask, list[ShardPlan]],
    whole: Path,
    failing: int,
    step: str,
    at_once: int,
    error: OSError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Shards before it are kept, also those that end while it is written."""
    task, plans = job
    monkeypatch.setattr(write_shards, "SHARDS_AT_ONCE", at_once)
    calls = itertools.count()
    fail_at = failing * (3 if step == "add" else 1) + (2 if step == "add" else 0)  # the last batch of the shard
    real: Callable[..., object] = getattr(ShardWriter, step)

    def fail(*arguments: object) -> object:
        if next(calls) == fail_at:
            raise error
        return real(*arguments)

    monkeypatch.setattr(ShardWriter, step, fail)
    with pytest.raises(OSError, match=error.strerror) as caught:
        index_shards(task, plans, kept_network(task.configuration))
    assert caught.value is error
    check_there(task, whole, list(range(failing)))
    monkeypatch.undo()
    left = [plan for plan in plans if planned_shard(task.index, plan, task.configuration) is None]
    assert [plan.number for plan in left] == list(range(failing, SHARDS))
    index_shards(task, left, kept_network(task.configuration))
    check_there(task, whole, list(range(SHARDS)))


def test_another_file_that_took_the_name_of_a_shard_is_told(
    job: tuple[ShardTask, list[ShardPlan]], whole: Path
) -> None:
    task, plans = job
    (task.index / "shards").mkdir()
    (task.index / "shards" / "000001.h5").write_bytes(b"not a shard")
    with pytest.raises(DamagedFile, match="put there by another job"):
        index_shards(task, plans, kept_network(task.configuration))
    assert (task.index / "shards" / "000001.h5").read_bytes() == b"not a shard"
    assert (task.index / "shards" / "000000.h5").read_bytes() == (whole / "000000.h5").read_bytes()


def _new_before(photos: Path) -> None:
    shutil.copy(next(photos.rglob("*.png")), photos / "aa new.png")


def _exchanged(photos: Path) -> None:
    first, second = sorted(photos.rglob("*.png"))[:2]
    first.rename(photos / "away")
    second.rename(first.with_name("a.png"))
    (photos / "away").rename(second.with_name("b.png"))


def _other_class(photos: Path) -> None:
    folder = min(path.parent for path in photos.rglob("*.png"))
    folder.rename(folder.with_name(f"{folder.name}2"))


def _broken_before(photos: Path) -> None:
    first = min(photos.rglob("*.png"))
    first.rename(first.with_name("zz.png"))
    first.with_name("0 broken.png").write_bytes(b"no image")


def _last_gone(photos: Path) -> None:
    max(photos.rglob("*.png")).unlink()


@pytest.mark.parametrize("change", [_new_before, _exchanged, _other_class, _broken_before, _last_gone])
def test_a_shard_of_a_plan_that_was_removed_is_kept_only_if_it_has_the_same_images(
    photos: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    own = shutil.copytree(photos, tmp_path / "photos")
    min(own.rglob("*.png")).write_bytes(b"no image")
    task, plans = planned(tmp_path, own)
    index_shards(task, plans[:2], kept_network(task.configuration))
    there = {path: path.stat().st_mtime_ns for path in (task.index / "shards").iterdir()}
    (task.index / "plan.jsonl").unlink()
    change(own)
    asked = request(own)
    build(task.index, asked)
    build(tmp_path / "twin", asked)
    files = sorted(path.name for path in (tmp_path / "twin" / "shards").iterdir())
    assert sorted(path.name for path in (task.index / "shards").iterdir()) == files
    check_there(task, tmp_path / "twin" / "shards", list(range(len(files))))
    kept = [path for path, written in there.items() if path.stat().st_mtime_ns == written]
    assert len(kept) == {_last_gone: 2, _exchanged: 1}.get(change, 0)


def test_no_more_passes_wait_than_their_bound(
    job: tuple[ShardTask, list[ShardPlan]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither within a shard nor from one to the next; a pass is an array of activations, so this bounds memory."""
    task, plans = job
    waiting: list[int] = []  # a number is put in when a pass starts, and taken out when it has been written
    most = 0
    start, add = write_shards.Passes.start, ShardWriter.add

    def counted(*arguments: object) -> object:
        nonlocal most
        waiting.append(1)
        most = max(most, len(waiting))
        return start(*arguments)

    def slow(*arguments: object) -> None:
        time.sleep(0.02)
        add(*arguments)
        waiting.pop()

    monkeypatch.setattr(write_shards.Passes, "start", counted)
    monkeypatch.setattr(ShardWriter, "add", slow)
    index_shards(task, plans, kept_network(task.configuration))
    assert not waiting
    assert most == 2 + 1 + 1, "two that wait, beside the one that may run, and one for which there is no room yet"
