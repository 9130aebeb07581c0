"""Failures while shards are written: which one reaches the caller, and that every shard written whole stays."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.errors import DamagedFile
from indexer.jobs.build import build
from indexer.jobs.cluster.dask_worker import kept_network
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline import write_shards
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode
from indexer.jobs.pipeline.write_shards import ShardTask, existing_shard, index_shards
from indexer.jobs.plan import ShardPlan, read_plan
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


def planned(folder: Path, photos: Path) -> tuple[ShardTask, list[ShardPlan]]:
    """A job that has been planned, and nothing more."""

    def stop(task: ShardTask, plans: list[ShardPlan], *, progress: object) -> None:
        raise KeyboardInterrupt

    request = build_request(
        photos, model="tests.own_models:small", layers=("0", "1"), preprocessing={}, shard_size=SHARD, batch_size=2,
        engine=stop,
    )  # fmt: skip
    with pytest.raises(KeyboardInterrupt):
        build(folder / "index", request)
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
    left = [plan for plan in plans if existing_shard(task.index, plan, task.configuration) is None]
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
