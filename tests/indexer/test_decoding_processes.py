"""Processes decode as threads do, and end with whoever started them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.errors import EngineUnavailable, InvalidRequest
from indexer.images import remarks
from indexer.images.listing import list_images
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.build import build
from indexer.jobs.distributed import DaskEngine
from indexer.jobs.limits import Limits
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode_ahead
from indexer.jobs.pipeline.decoding_processes import decode_in_processes
from tests.conftest import build_request
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
PIXELS = 10**8


def preprocessing(channels: int = 3) -> Preprocessing:
    return Preprocessing((40,), (32, 48), mean=(0.5,), std=(0.5,), channels=channels)


def in_processes(folder: Path, count: int = 10**6) -> Iterator[Decoded | Skipped]:
    files = list_images(folder).files[:count]
    return decode_in_processes(folder, enumerate(files), preprocessing(), False, 2, PIXELS)


@pytest.mark.parametrize(("channels", "keep"), [(3, False), (1, True)])
def test_they_give_what_threads_give_in_the_same_order(photo_folder: Path, channels: int, keep: bool) -> None:
    files = list(enumerate(list_images(photo_folder).files * 2))
    with ThreadPoolExecutor(2) as threads:
        expected = list(decode_ahead(photo_folder, files, preprocessing(channels), keep, threads, 8, PIXELS))
    found = list(decode_in_processes(photo_folder, files, preprocessing(channels), keep, 2, PIXELS))
    assert len(found) == len(files) > 2 * 3 * 8, "every place in the shared memory is used several times"
    for mine, other in zip(found, expected, strict=True):
        if isinstance(other, Skipped):
            assert mine == other
        else:
            assert isinstance(mine, Decoded)
            assert mine.image == other.image
            np.testing.assert_array_equal(mine.pixels, other.pixels)
    assert sum(isinstance(each, Skipped) for each in found) == 4, "two of the files are no images"


def test_an_index_is_the_same_byte_for_byte(photo_folder: Path, small_index: Path, tmp_path: Path) -> None:
    build(tmp_path / "index", build_request(photo_folder, limits=Limits(decoders=2)))
    names = sorted(path.name for path in (small_index / "shards").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "index" / "shards").iterdir())
    for name in names:
        assert (small_index / "shards" / name).read_bytes() == (tmp_path / "index" / "shards" / name).read_bytes()


def test_no_images_and_one(photo_folder: Path) -> None:
    assert list(in_processes(photo_folder, 0)) == []
    assert len(list(in_processes(photo_folder, 1))) == 1


def test_warnings_name_their_image(tmp_path: Path) -> None:
    broken = b"Exif\0\0II*\0\x08\0\0\0\xff\xff"  # it says that 65,535 entries follow
    Image.new("RGB", (90, 80)).save(tmp_path / "broken.jpg", exif=broken)
    heard = []

    def hear(message: Warning | str, *_: object, **__: object) -> None:
        heard.append((str(message), remarks.image()))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = hear
        assert isinstance(next(in_processes(tmp_path)), Decoded)
    assert "broken.jpg" in {image for text, image in heard if "EXIF" in text}, heard
    assert remarks.image() is None


def test_a_process_that_is_killed_is_one_line(photo_folder: Path) -> None:
    found = in_processes(photo_folder)
    next(found)
    for process in multiprocessing.active_children():
        os.kill(process.pid, signal.SIGKILL)
    with pytest.raises(EngineUnavailable, match="fewer --decoders"):
        list(found)


def test_they_end_when_nobody_wants_more(photo_folder: Path) -> None:
    found = in_processes(photo_folder)
    next(found)
    assert multiprocessing.active_children()
    found.close()
    assert not multiprocessing.active_children()


KILLED = """
import sys, multiprocessing
from pathlib import Path
from indexer.images.listing import list_images
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.pipeline.decoding_processes import decode_in_processes

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    preprocessing = Preprocessing((40,), (32, 48), mean=(0.5,), std=(0.5,))
    found = decode_in_processes(folder, enumerate(list_images(folder).files), preprocessing, False, 2, 10**8)
    next(found)
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not Path("/proc").exists(), reason="asks Linux which processes there are")
def test_they_end_with_a_process_that_is_killed(photo_folder: Path, tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, str(script), str(photo_folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout is not None
        children = process.stdout.readline().split()
        assert len(children) == 2
        process.kill()
    wait_until(lambda: not any(Path("/proc", child.decode(), "cmdline").exists() for child in children))


def test_how_many_there_may_be() -> None:
    for wrong in (-1, 100_000):
        with pytest.raises(InvalidRequest, match="decoders must be 0"):
            Limits(decoders=wrong)


def test_dasks_workers_decode_by_themselves(photo_folder: Path) -> None:
    pytest.importorskip("distributed")
    request = build_request(photo_folder, limits=Limits(decoders=2), engine=DaskEngine("tcp://127.0.0.1:1"))
    with tempfile.TemporaryDirectory() as folder, pytest.raises(InvalidRequest, match="start more workers"):
        build(Path(folder) / "index", request)
