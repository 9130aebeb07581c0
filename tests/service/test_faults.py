"""Faults: the service answers what it can, says what it cannot, and recovers by itself."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indexer.jobs.build import build
from indexer.jobs.upkeep.remove import remove
from indexer.store import durable
from tests.conftest import build_request, write_photos
from tests.service.conforming import ConformingClient
from tests.service.conftest import Serve
from tests.service.processes import Service, running
from tests.waiting import wait_until

LAYER = "layers/features.12"
PEAKS = f"{LAYER}/neurons/3/patches?limit=50"
CELLS = f"{LAYER}/neurons/3/patches?limit=1000&per_image=all"


def tree(folder: Path) -> dict[str, int]:
    """Every file and its size."""
    return {str(path.relative_to(folder)): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small_disk(small_index: Path, tmp_path: Path) -> Iterator[Path]:
    """An index on a file system that is full but for a file `filler` beside it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    size = 4 * sum(tree(small_index).values())
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", disk]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        shutil.copytree(small_index, disk / "own")
        with (disk / "filler").open("wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, shutil.disk_usage(disk).free)
        yield disk / "own"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def check_publishing_without_space(client: ConformingClient, own: Path, free: Callable[[], None]) -> None:
    before, files = client.get(f"/v1/indexes/own/{PEAKS}").json, tree(own)
    with pytest.raises(OSError, match=r"No space left|cannot be written"):
        remove(own, ids=[3])
    assert client.get(f"/v1/indexes/own/{PEAKS}").json == before
    assert client.get(f"/v1/indexes/own/{CELLS}").status_code == 200
    assert client.get("/readyz").json["status"] == "ready"
    assert tree(own).items() - files.items() <= {("lock", 0)}  # nothing half written is left
    free()
    remove(own, ids=[3])
    assert client.get(f"/v1/indexes/own/{PEAKS}").json["total"] == before["total"] - 1


def test_a_disk_that_is_full_while_a_generation_is_published(serve: Serve, small_disk: Path) -> None:
    client = serve(small_disk, check_seconds=0.0)
    check_publishing_without_space(client, small_disk, (small_disk.parent / "filler").unlink)
    client.application.close()


@pytest.mark.parametrize("written", [10, *(pytest.param(number, marks=pytest.mark.slow) for number in (0, 1, 4, 7))])
def test_a_write_that_fails_while_a_generation_is_published(
    serve: Serve, own_index: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """As the test above, at several files of the generation, and where no file system can be mounted."""
    flush, flushed = durable.flush, []

    def full(path: Path) -> None:
        flushed.append(path)
        if len(flushed) > written:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        flush(path)

    monkeypatch.setattr(durable, "flush", full)
    client = serve(own_index, check_seconds=0.0)
    check_publishing_without_space(client, own_index, lambda: monkeypatch.setattr(durable, "flush", flush))
    assert len(flushed) > written


def test_an_original_that_is_removed_after_it_was_indexed(serve: Serve, tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=6, count=4)
    build(tmp_path / "own", build_request(photos, layers=["features.12"]))
    client = serve(tmp_path / "own")
    gone, kept = client.get("/v1/indexes/own/images?limit=2").json["items"]
    image = gone["links"]["self"]
    needs_it = [f"{image}/file", *(f"{image}/{LAYER}/{what}" for what in (
        "cells/1,1/patch.jpg", "neurons/3/heatmap.png", "cells/1,1/saliency.png?neuron=3"
    ))]  # fmt: skip
    needs_none = [image, f"{image}/neurons", f"{image}/{LAYER}/cells/1,1/similar", f"/v1/indexes/own/{CELLS}",
                  kept["links"]["file"]]  # fmt: skip
    (photos / gone["path"]).rename(tmp_path / "away")
    for url in needs_it:
        answer = client.get(url)
        assert (answer.status_code, answer.json["type"].split(":")[-1]) == (410, "image-gone")
        assert gone["path"] in answer.json["detail"]
    assert [client.get(url).status_code for url in needs_none] == [200] * len(needs_none)
    (tmp_path / "away").rename(photos / gone["path"])
    assert [client.get(url).status_code for url in needs_it] == [200] * len(needs_it)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [cut, empty, Path.unlink])
def test_a_shard_that_becomes_unreadable(serve: Serve, own_index: Path, damage: Callable[[Path], None]) -> None:
    client = serve(own_index, check_seconds=0.0)
    assert client.get(f"/v1/indexes/own/{CELLS}").status_code == 200
    shard = own_index / "shards" / "000001.h5"
    whole = shard.read_bytes()
    damage(shard)
    os.utime(own_index / "manifest.json")  # opened anew, as by a process that is started now
    answer = client.get(f"/v1/indexes/own/{CELLS}")
    assert (answer.status_code, answer.json["type"].split(":")[-1]) == (503, "index-unavailable")
    assert "shards/000001.h5" in answer.json["detail"]
    assert int(answer.headers["Retry-After"]) > 0
    for path in (PEAKS, "images/1/neurons", "images/1", f"{LAYER}/neurons", f"images/1/{LAYER}/cells/1,1/patch.jpg"):
        assert client.get(f"/v1/indexes/own/{path}").status_code == 200
    shard.write_bytes(whole)
    assert client.get(f"/v1/indexes/own/{CELLS}").status_code == 200


@pytest.mark.parametrize("damage", [cut, empty])
def test_a_mapped_file_that_is_cut_is_noticed_before_it_is_read(
    serve: Serve, own_index: Path, damage: Callable[[Path], None]
) -> None:
    client = serve(own_index, check_seconds=0.0)
    url = f"/v1/indexes/own/{PEAKS}"
    before = client.get(url).json
    (derived,) = (own_index / "derived").rglob("features.12.h5")
    whole = derived.read_bytes()
    damage(derived)
    answer = client.get(url)
    assert answer.status_code == 503
    assert derived.name in answer.json["detail"]
    derived.write_bytes(whole)
    assert client.get(url).json == before


@pytest.fixture(scope="module")
def two(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Path]]:
    """A service of a folder with the indexes "good" and "bad"."""
    folder = tmp_path_factory.mktemp("two") / "all"
    for name in ("good", "bad"):
        shutil.copytree(small_index, folder / name)
    with running(folder.parent / "log", str(folder), "--workers", "2", "--check-seconds", "0.1") as service:
        yield service, folder


def everywhere(service: Service, path: str, status: int) -> None:
    """Wait until a path is answered with a status often enough that every worker is sure to have been asked."""
    wait_until(lambda: all(attempt(service, path) == status for _ in range(12)))


def attempt(service: Service, path: str) -> int:
    try:
        return service.ask(path).status_code
    except OSError:  # the worker ended
        return 0


def test_a_folder_that_goes_away_and_comes_back_while_workers_are_replaced(two: tuple[Service, Path]) -> None:
    service, folder = two
    before = service.ask(f"/v1/indexes/good/{PEAKS}").get_data()
    folder.rename(folder.parent / "away")
    everywhere(service, f"/v1/indexes/good/{PEAKS}", 503)
    for worker in service.children("request_worker"):
        os.kill(worker, 9)
    everywhere(service, "/readyz", 503)
    assert service.ask("/healthz").status_code == service.ask("/metrics").status_code == 200
    (folder.parent / "away").rename(folder)
    everywhere(service, f"/v1/indexes/good/{PEAKS}", 200)
    assert service.ask(f"/v1/indexes/good/{PEAKS}").get_data() == before


def test_a_mapped_file_that_is_cut_under_load_costs_no_other_index(two: tuple[Service, Path]) -> None:
    service, folder = two
    everywhere(service, f"/v1/indexes/bad/{PEAKS}", 200)
    (derived,) = (folder / "bad" / "derived").rglob("features.12.h5")
    whole = derived.read_bytes()
    os.truncate(derived, 4096)
    everywhere(service, f"/v1/indexes/bad/{PEAKS}", 503)  # a worker that reads it first ends and is replaced
    everywhere(service, f"/v1/indexes/good/{PEAKS}", 200)
    assert service.ask("/readyz").json["status"] == "degraded"
    derived.write_bytes(whole)
    everywhere(service, f"/v1/indexes/bad/{PEAKS}", 200)
