"""Repair beside what other jobs have left, and repairs that fail: no file is lost, and none is listed twice."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from indexer.errors import InvalidRequest, NotReproducible
from indexer.index.manifest import read_manifest
from indexer.index.shard_info import ShardInfo
from indexer.jobs import layers as layers_job
from indexer.jobs.build import add
from indexer.jobs.cluster.dask_worker import kept_network
from indexer.jobs.layers import add_layers
from indexer.jobs.pipeline import write_shards
from indexer.jobs.pipeline.write_shards import Progress, ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.jobs.upkeep import verify as verify_job
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from tests.conftest import write_photos
from tests.indexer.test_jobs import answers
from tests.indexer.test_layers import built


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", seed=5, count=12)


@pytest.fixture
def index(tmp_path: Path, photos: Path) -> Path:
    return built(tmp_path / "index", photos, "0", "1")


def cut(index: Path, number: int) -> bytes:
    """Damage a shard file; its content now."""
    file = index / "shards" / f"{number:06}.h5"
    file.write_bytes(file.read_bytes()[:-100])
    return file.read_bytes()


def shards(index: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (index / "shards").iterdir()}


def check_listed(index: Path) -> None:
    """Every file of shards is listed, once, and whole."""
    listed = [Path(file).name for info in read_manifest(index).shards for file in info.checksums]
    assert sorted(listed) == sorted(shards(index))
    assert verify(index) == []


def one_shard(task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
    """An engine that is interrupted after a shard."""
    index_shards(task, plans[:1], kept_network(task.configuration), progress)
    raise KeyboardInterrupt


@pytest.mark.parametrize("damaged", [1, 4], ids=["its own file", "a part"])
def test_a_repair_leaves_an_unfinished_add_its_numbers(index: Path, photos: Path, tmp_path: Path, damaged: int) -> None:
    add_layers(index, ["5"])
    write_photos(photos / "more", seed=6, count=7)
    twin = shutil.copytree(index, tmp_path / "twin")
    with pytest.raises(KeyboardInterrupt):
        add(index, engine=one_shard)
    written = (index / "shards" / "000006.h5").stat().st_mtime_ns
    cut(index, damaged)
    repair(index)
    assert verify(index) == []
    assert (index / "shards" / "000006.h5").stat().st_mtime_ns == written
    for each in (index, twin):
        add(each)
    check_listed(index)
    assert answers(index) == answers(twin)


def test_a_repair_does_not_stumble_over_an_interrupted_add_layers(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    add_layers(index, ["5"])
    twin = shutil.copytree(index, tmp_path / "twin")
    with monkeypatch.context() as patched:
        patched.setattr(layers_job, "derive_and_publish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add_layers(index, ["3"])
    cut(index, 4)
    repair(index)
    assert verify(index) == []
    for each in (index, twin):
        add_layers(each, ["3"])
    assert verify(index) == []
    assert answers(index) == answers(twin)


def test_a_plan_never_takes_a_file_of_the_index(index: Path, photos: Path) -> None:
    """As older programs left it, which repaired under a number that a plan had."""
    before = shards(index)
    write_photos(photos / "more", seed=6, count=4)
    with pytest.raises(KeyboardInterrupt):
        add(index, engine=one_shard)
    plan = index / "plan.jsonl"
    header, *files = plan.read_text().splitlines()
    plan.write_text("\n".join([json.dumps(json.loads(header) | {"first_shard": 2}), *files, ""]))
    with pytest.raises(InvalidRequest, match=r"would write shards/000002.h5, .* delete plan.jsonl"):
        add(index)
    assert shards(index).items() >= before.items()
    plan.unlink()
    assert add(index).images == 16
    check_listed(index)


def _none_elsewhere(index: Path) -> None:
    for number in range(3):
        cut(index, number)


def _removed_elsewhere(index: Path) -> None:
    remove(index, ids=range(5, 12))
    cut(index, 0)


@pytest.mark.parametrize("damage", [_none_elsewhere, _removed_elsewhere])
@pytest.mark.parametrize("change", ["moved", "others now"])
def test_a_repair_that_would_leave_no_image_changes_nothing(
    index: Path, photos: Path, damage: Callable[[Path], None], change: str
) -> None:
    damage(index)
    before, manifest = shards(index), read_manifest(index)
    paths = list(photos.rglob("*.png"))
    for path in paths:
        path.rename(photos / path.name) if change == "moved" else path.write_bytes(paths[0].read_bytes() + b"\0")
    with pytest.raises(InvalidRequest, match=r"no image of the index would be left.*put the originals back"):
        repair(index)
    assert (shards(index), read_manifest(index)) == (before, manifest)


@pytest.mark.parametrize("number", [1, 4], ids=["its own file", "a part"])
def test_a_damaged_shard_is_there_until_the_repair_is_published(
    index: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object, **named: object) -> None:
        raise OSError(28, "No space left on device")

    add_layers(index, ["5"])
    expected = answers(index)
    damaged = cut(index, number)
    with monkeypatch.context() as patched:
        patched.setattr(verify_job, "derive_and_publish", full)
        with pytest.raises(OSError, match="No space"):
            repair(index)
    assert damaged in shards(index).values()
    cut(index, number)
    repair(index)
    check_listed(index)
    assert answers(index) == expected


def test_nothing_stays_of_a_repair_by_a_network_that_cannot_be_trusted(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def untrusted(*arguments: object) -> None:
        index_shards(*arguments)
        raise NotReproducible("layer '5' gives other activations; nothing was kept")

    add_layers(index, ["5"])
    for number in (0, 4):
        cut(index, number)
    before = shards(index)
    monkeypatch.setattr(write_shards, "index_shards", untrusted)
    with pytest.raises(NotReproducible):
        repair(index)
    assert shards(index) == before
