"""Shards made by a Dask cluster of processes: the same, byte for byte, whatever befalls workers and scheduler."""

import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from distributed import Client
from PIL import Image

from indexer.cli import main
from indexer.derive import layer
from indexer.derive.nearest import vectors
from indexer.errors import BadActivations, ConfigurationMismatch, EngineUnavailable, NotInstalled, NotReproducible
from indexer.jobs import distributed
from indexer.jobs.build import add, build
from indexer.jobs.cluster.dask_worker import checked, index_shard, kept_network, versions
from indexer.jobs.distributed import DaskEngine
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline.write_shards import ShardTask, index_shards
from indexer.jobs.plan import ShardPlan, read_plan
from indexer.jobs.reporter import Reporter
from indexer.jobs.upkeep.verify import verify
from indexer.jobs.written import planned_shard
from indexer.system.cores import cores
from tests.conftest import build_request, write_photos
from tests.indexer.cluster import Cluster, kill
from tests.indexer.test_passes import request_of, with_a_white_one

TINY = {"model": "tests.own_models:small", "layers": ("0", "1"), "preprocessing": {}, "shard_size": 2, "batch_size": 1}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster"), workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_photos(tmp_path_factory.mktemp("photos"), seed=6, count=25)
    (folder / "birds" / "broken.jpg").write_bytes(b"this is no image")
    return folder


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    index = tmp_path_factory.mktemp("local") / "index"
    build(index, build_request(photos, **TINY))
    return index


def check_same(local: Path, index: Path) -> None:
    there = sorted((index / "shards").iterdir())
    assert [path.name for path in there] == [path.name for path in sorted((local / "shards").iterdir())]
    assert all((local / "shards" / path.name).read_bytes() == path.read_bytes() for path in there)
    assert (index / "manifest.json").read_bytes() == (local / "manifest.json").read_bytes()
    assert verify(index) == []


def written(index: Path) -> dict[str, int]:
    """Shards, and what is another number for every file that was written."""
    return {path.name: path.stat().st_ino for path in (index / "shards").glob("*.h5")}


def build_meanwhile(
    cluster: Cluster, index: Path, photos: Path, trouble: Callable[[int], None], patience: float = 60
) -> list[int]:
    """Build on the cluster; ``trouble`` is called whenever shards are done, with the number of images done."""
    seen: list[int] = []

    def progress(images: int) -> None:
        seen.append(images)
        trouble(sum(seen))

    engine = DaskEngine(cluster.address, patience=patience)
    build(index, build_request(photos, **TINY, engine=engine), Reporter(progress=progress))
    return seen


def test_a_worker_is_lost(cluster: Cluster, local: Path, photos: Path, tmp_path: Path) -> None:
    def trouble(done: int) -> None:
        if done == 4:
            kill(cluster.workers.pop())

    seen = build_meanwhile(cluster, tmp_path / "index", photos, trouble)
    assert seen == [2] * 13
    check_same(local, tmp_path / "index")
    cluster.workers.append(cluster.start_worker())


@pytest.mark.slow
def test_the_scheduler_is_lost(cluster: Cluster, local: Path, photos: Path, tmp_path: Path) -> None:
    restarted: list[int] = []

    def trouble(done: int) -> None:
        if done >= 6 and not restarted:
            restarted.append(done)
            cluster.restart_scheduler()

    assert sum(build_meanwhile(cluster, tmp_path / "index", photos, trouble)) == 26
    assert restarted
    check_same(local, tmp_path / "index")


def test_adding(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    names = [path.relative_to(photos).as_posix() for path in sorted(photos.rglob("*.png"))]
    (tmp_path / "first.csv").write_text("\n".join(["path", *names[:9]]))
    request = build_request(tmp_path / "first.csv", image_root=photos, **TINY)
    grown: dict[str, bytes] = {}
    for name, engine in (("here", None), ("there", DaskEngine(cluster.address))):
        build(tmp_path / name, replace(request, engine=engine))
        add(tmp_path / name, engine=engine)
        grown[name] = (tmp_path / name / "manifest.json").read_bytes()
    assert grown["here"] == grown["there"]


@pytest.mark.parametrize(
    ("flat_bytes", "few_lists_bytes", "kind", "part"),
    [
        (1 << 26, 1 << 30, "flat float16", "codes_of"),
        pytest.param(0, 1 << 30, "IVF16_HNSW32, RaBitQ", "filled_part", marks=pytest.mark.slow),
        (0, 0, "IVF128_HNSW32, RaBitQ", "filled_part"),
    ],
)
def test_parts_of_derived_files_are_made_by_workers(
    cluster: Cluster,
    photos: Path,
    tmp_path: Path,
    flat_bytes: int,
    few_lists_bytes: int,
    kind: str,
    part: str,
    monkeypatch,
) -> None:
    monkeypatch.setattr(layer, "BLOCK_NEURONS", 2)
    monkeypatch.setattr(layer, "RUN_SHARDS", 4)
    monkeypatch.setattr(vectors, "FLAT_BYTES", flat_bytes)
    monkeypatch.setattr(vectors, "FEW_LISTS_BYTES", few_lists_bytes)
    monkeypatch.setattr(vectors, "FALLBACK_BYTES", 0)
    monkeypatch.setattr(vectors, "PART_BYTES", 3_000)
    build(tmp_path / "here", build_request(photos, **TINY))
    engine = DaskEngine(cluster.address)
    done: Counter[str] = Counter()
    run = engine.run

    def counting(function: Callable, tasks: Sequence[tuple]) -> Iterator[tuple]:
        for result in run(function, tasks):
            done[function.__name__] += 1
            yield result

    monkeypatch.setattr(engine, "run", counting)
    manifest = build(tmp_path / "there", build_request(photos, **TINY, engine=engine))
    check_same(tmp_path / "here", tmp_path / "there")
    assert [about["type"] for about in manifest.vectors.values()] == [kind, kind]
    assert done["index_shard"] == 13
    assert min(done[name] for name in ("histogram_of", "block_of", part)) > 2


@pytest.mark.slow
def test_a_worker_is_frozen(local: Path, photos: Path, tmp_path: Path) -> None:
    """It is silent, and holds shards, until its scheduler gives it up."""
    with Cluster(tmp_path / "cluster", workers=2, silent_at_most="8s") as cluster:

        def trouble(done: int) -> None:
            if done == 4:
                cluster.workers[0].send_signal(signal.SIGSTOP)

        build_meanwhile(cluster, tmp_path / "index", photos, trouble)
        check_same(local, tmp_path / "index")
        cluster.workers[0].send_signal(signal.SIGCONT)  # it goes on with what others have done since, and ends
        cluster.workers[0].wait(60)
        check_same(local, tmp_path / "index")


@pytest.mark.slow  # it waits for what does not come, as does the next
def test_the_scheduler_does_not_come_back(cluster: Cluster, local: Path, photos: Path, tmp_path: Path) -> None:
    with Cluster(tmp_path / "lost", workers=1) as lost:

        def trouble(done: int) -> None:
            if done == 6:
                kill(lost.scheduler)

        with pytest.raises(EngineUnavailable, match=r"no Dask scheduler .* answers .*give the same command again"):
            build_meanwhile(lost, tmp_path / "index", photos, trouble, patience=2)
    finished = written(tmp_path / "index")
    assert 3 <= len(finished) < 13
    assert not (tmp_path / "index" / "manifest.json").exists()
    build_meanwhile(cluster, tmp_path / "index", photos, lambda done: None)
    check_same(local, tmp_path / "index")
    assert finished.items() <= written(tmp_path / "index").items()


@pytest.mark.slow
def test_no_worker_comes_back(photos: Path, tmp_path: Path) -> None:
    with Cluster(tmp_path / "cluster", workers=1) as cluster:

        def trouble(done: int) -> None:
            if done == 6:
                kill(cluster.workers[0])

        with pytest.raises(EngineUnavailable, match=r"no Dask scheduler with a worker .*give the same command again"):
            build_meanwhile(cluster, tmp_path / "index", photos, trouble, patience=3)
    assert 3 <= len(written(tmp_path / "index")) < 13


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_workers_are_killed_at_random(local: Path, tmp_path: Path, seed: int) -> None:
    photos = write_photos(tmp_path / "photos", seed=seed, count=120)
    build(tmp_path / "calm", build_request(photos, **TINY))
    moments = random.Random(seed)
    kills = 0
    ended = threading.Event()

    def reap(cluster: Cluster) -> None:
        nonlocal kills
        while not ended.wait(moments.uniform(0.2, 4)) and kills < 10:
            kill(cluster.workers.pop(moments.randrange(len(cluster.workers))))
            cluster.workers.append(cluster.start_worker())
            kills += 1

    with Cluster(tmp_path / "cluster", workers=3) as cluster:
        reaper = threading.Thread(target=reap, args=(cluster,))
        reaper.start()
        for life in range(20):
            build_meanwhile(cluster, tmp_path / f"index {life}", photos, lambda done: None)
            check_same(tmp_path / "calm", tmp_path / f"index {life}")
            if kills == 10:
                break
        ended.set()
        reaper.join()
    assert kills == 10


@pytest.fixture
def work(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ShardTask, ShardPlan]:
    """A shard to be made, as the driver hands it out."""

    def stop(task: ShardTask, plans: list[ShardPlan], *, progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "index", build_request(photos, **TINY, engine=stop))
    plan = read_plan(tmp_path / "index")
    return ShardTask(tmp_path / "index", photos, plan.configuration, plan.batch_size), plan.shards()[1]


def test_a_shard_made_again_is_the_one_there(work: tuple[ShardTask, ShardPlan]) -> None:
    task, plan = work
    network = kept_network(task.configuration)
    found = [index_shards(task, [plan], network)[0] for _ in range(2)]
    [path] = (task.index / "shards").iterdir()
    written = path.stat()
    assert found[0] == found[1] == index_shard(task, plan) == planned_shard(task.index, plan, task.configuration)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_two_workers_make_the_same_shards(cluster: Cluster, work: tuple[ShardTask, ShardPlan], local: Path) -> None:
    task, _ = work
    plans = read_plan(task.index).shards()
    with Client(cluster.address) as client:
        twice = [
            client.map(index_shard, [task] * len(plans), plans, workers=[worker], key=f"from {worker}", pure=False)
            for worker in client.scheduler_info()["workers"]
        ]
        one, other = (client.gather(futures) for futures in twice)
    assert one == other
    assert sorted(path.name for path in (task.index / "shards").iterdir()) == [Path(info.file).name for info in one]
    assert all((task.index / info.file).read_bytes() == (local / info.file).read_bytes() for info in one)


@pytest.mark.parametrize("name", ["unitscope", "torch"])
def test_a_worker_of_another_version_refuses(work: tuple[ShardTask, ShardPlan], name: str) -> None:
    with pytest.raises(ConfigurationMismatch, match=rf"{name} {versions()[name][:5]}.*, not 9\.9 as its driver"):
        checked(versions() | {name: "9.9"}, index_shard, *work)


@pytest.mark.parametrize(
    ("change", "message"),
    [({"weights_digest": "0" * 64}, "not those of the index"), ({"layers": ()}, "layers: .* there, .* here")],
)
def test_a_worker_of_another_network_refuses(work: tuple, change: dict, message: str) -> None:
    task, plan = work
    if "layers" in change:
        first, *rest = task.configuration.layers
        change = {"layers": (replace(first, channels=5), *rest)}
    with pytest.raises(ConfigurationMismatch, match=message):
        index_shard(replace(task, configuration=replace(task.configuration, **change)), plan)


def test_the_driver_hears_that_a_worker_refuses(cluster: Cluster, photos: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(distributed, "versions", lambda: versions() | {"torch": "9.9"})
    with pytest.raises(ConfigurationMismatch, match=r"worker tcp://.*torch .*, not 9\.9"):
        build(tmp_path / "index", build_request(photos, **TINY, engine=DaskEngine(cluster.address)))


def test_the_driver_hears_what_is_wrong_with_a_network(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (40, 30), "white").save(tmp_path / "photos" / "white.png")
    changes = TINY | {"model": "tests.own_models:poisoned", "layers": ("1",), "limits": Limits(bad_images=0)}
    request = build_request(tmp_path / "photos", **changes, engine=DaskEngine(cluster.address))
    with pytest.raises(BadActivations, match=r"layer '1', neuron 0 gives NaN or infinity on the image white.png"):
        build(tmp_path / "index", request)


def test_nothing_of_a_network_that_cannot_be_trusted_comes_later(cluster: Cluster, tmp_path: Path) -> None:
    folder = with_a_white_one(tmp_path / "photos", 80, white=14)
    request = request_of(
        folder, "Dazzled", batch_size=1, shard_size=20, limits=Limits(passes=1), engine=DaskEngine(cluster.address)
    )
    with pytest.raises(NotReproducible):
        build(tmp_path / "index", request)
    time.sleep(3)  # in which the other worker would end its shard
    assert not list(tmp_path.glob("index/shards/*"))


def test_nobody_there(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no Dask scheduler with a worker answers at tcp"):
        build(tmp_path / "index", build_request(photos, **TINY, engine=DaskEngine("tcp://127.0.0.1:9", patience=1)))


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NotInstalled, match=r"unitscope\[distributed\]"):
        DaskEngine("tcp://127.0.0.1:9")


@pytest.mark.parametrize(("told", "most"), [("1", 1), ("0", 999), ("999", 999), ("", 999), ("2,1", 999)])
def test_workers_that_share_a_machine_are_told_their_cores(told: str, most: int, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    assert cores() == min(most, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("options", [["--engine", "dask"], ["--scheduler", "tcp://127.0.0.1:9"]])
def test_options_that_go_together(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["build", str(tmp_path), "--model", "alexnet", "--out", str(tmp_path / "index"), *options]) == 1
    assert "go together" in capsys.readouterr().err
