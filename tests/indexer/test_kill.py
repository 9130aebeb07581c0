"""kill -9 at random moments of every job: what is published is whole, and resuming loses nothing."""

import json
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.forkserver import ensure_running
from pathlib import Path

import pytest

import indexer
from indexer.errors import NotAnIndex
from indexer.jobs.upkeep.verify import verify
from tests.conftest import write_photos
from tests.indexer.lifetime import live
from tests.indexer.test_jobs import answers


@pytest.fixture(scope="module")
def context():
    """Processes that start with everything imported, so that kills fall on the work."""
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(["tests.indexer.lifetime"])
    with pytest.MonkeyPatch.context() as patch:  # the server finds nothing of ours without it (CPython gh-117378)
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
        ensure_running()
    waiting = forkserver.Process(target=len, args=((),))  # until the imports are done
    waiting.start()
    waiting.join()
    return forkserver


def lists(folder: Path) -> tuple[Path, Path]:
    photos = write_photos(folder, seed=4, count=11)
    paths = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    for name, part in (("first.jsonl", paths[:7]), ("second.jsonl", paths[7:])):
        rows = [json.dumps({"path": path, "class": path.partition("/")[0]}) for path in part]
        (photos / name).write_text("\n".join(rows))
    return photos / "first.jsonl", photos / "second.jsonl"


def check_published(index: Path) -> None:
    """Whatever a kill left behind: either no index yet, or one whose every listed file is whole."""
    try:
        with indexer.open(index) as opened:
            assert len(opened.find_images(limit=99).items) == opened.manifest.images
    except NotAnIndex:
        return
    assert verify(index) == []


@pytest.mark.parametrize(("seed", "most"), [(0, 5), pytest.param(1, 60, marks=pytest.mark.slow)])
def test_killed_at_random_points(tmp_path: Path, context, seed: int, most: int) -> None:
    first, second = lists(tmp_path / "photos")
    started = time.monotonic()
    process = context.Process(target=live, args=(tmp_path / "calm", first, second))
    process.start()
    process.join()
    assert process.exitcode == 0
    whole = time.monotonic() - started

    moments = random.Random(seed)
    kills = lives = 0
    index = tmp_path / "life 0"
    while kills < most:
        process = context.Process(target=live, args=(index, first, second))
        process.start()
        process.join(moments.uniform(0, whole))
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            kills += 1
            check_published(index)
        else:
            assert process.exitcode == 0
            assert answers(index) == answers(tmp_path / "calm")
            lives += 1
            index = tmp_path / f"life {lives}"
    live(index, first, second)
    assert answers(index) == answers(tmp_path / "calm")
    assert not list(index.rglob("*.partial"))
    assert not (index / "plan.jsonl").exists()
    for shard in (tmp_path / "calm" / "shards").iterdir():
        assert shard.read_bytes() == (index / "shards" / shard.name).read_bytes()
