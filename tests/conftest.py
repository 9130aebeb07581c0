"""Fixtures for all tests: photographs of odd shapes, and an index of them built by the real job."""

import gc
import io
import json
import os
import shutil
from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from indexer.index.manifest import read_manifest
from indexer.jobs.build import BuildRequest, build
from indexer.store import cache as copies
from tests import order
from tests.object_store import ObjectStore

INPUT = (96, 128)
"""Height and width of the network's input in the tests: rectangular, so that swapped axes fail."""

LAYERS = ("features.7", "features.12", "classifier")


def pytest_configure(config: pytest.Config) -> None:
    os.environ["XDG_DATA_HOME"] = "/dev/null/no folder"  # where notes lie by default; tests look at nobody's
    if hasattr(config, "workerinput"):  # one of several processes
        order.share_cores()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported stays: whoever looks for garbage need not look through it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Let the end find everything, as it would otherwise: libraries count what is left of theirs, and complain."""
    gc.unfreeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> order.ByGroup:
    return order.ByGroup(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order.longest_first(items)


def random_photo(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Soft blobs of colour: enough structure for neurons to differ on."""
    small = rng.integers(0, 256, (max(2, height // 16), max(2, width // 16), 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def write_photos(folder: Path, seed: int, count: int, classes: tuple[str, ...] = ("birds", "boats")) -> Path:
    """Write photographs of different sizes, in class folders; sizes are never square."""
    for number, photo in enumerate(_photos(seed, count)):
        path = folder / classes[number % len(classes)] / f"photo {number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    return folder


@cache
def _photos(seed: int, count: int) -> list[bytes]:
    """PNG files. Many tests want the same, and to make them costs as much as to index them."""
    rng = np.random.default_rng(seed)
    files = []
    for _ in range(count):
        width, height = (int(side) for side in rng.integers(90, 260, 2))
        file = io.BytesIO()
        random_photo(rng, width + (width == height), height).save(file, "PNG")
        files.append(file.getvalue())
    return files


def moved_index(index: Path, images: Path, to: Path) -> Path:
    """A copy of an index, as if it had been built of other images, which are equal to its own."""
    shutil.copytree(index, to)
    manifest, before = to / "manifest.json", read_manifest(index).image_root
    manifest.write_text(manifest.read_text().replace(json.dumps(before), json.dumps(str(images))))
    return to


def build_request(images: Path, **changes: object) -> BuildRequest:
    """A small, quick job: squeezenet1_1 with random weights on rectangular input."""
    settings: dict[str, object] = {
        "images": images,
        "model": "squeezenet1_1",
        "weights": "none",
        "layers": LAYERS,
        "preprocessing": {"resize": (110,), "crop": INPUT},
        "shard_size": 16,
        "batch_size": 8,
    }
    return BuildRequest(**(settings | changes))


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 photographs in two classes, and two files that are no images."""
    folder = write_photos(tmp_path_factory.mktemp("photos"), seed=0, count=40)
    (folder / "birds" / "broken.jpg").write_bytes(b"this is no image")
    cut = (folder / "boats" / "photo 001.png").read_bytes()
    (folder / "boats" / "cut short.png").write_bytes(cut[: len(cut) // 2])
    return folder


@pytest.fixture(scope="session")
def small_index(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of `photo_folder`: three shards, three layers. Read-only: tests that change one build their own."""
    path = tmp_path_factory.mktemp("indexes") / "small"
    build(path, build_request(photo_folder))
    return path


@pytest.fixture
def own_index(small_index: Path, tmp_path: Path) -> Path:
    """A copy of `small_index` that a test may change, called "own"."""
    return Path(shutil.copytree(small_index, tmp_path / "own"))


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3 server on loopback, to which the environment leads."""
    folder = tmp_path_factory.mktemp("object store")
    store = ObjectStore(folder / "objects")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in store.environment.items():
            patch.setenv(name, value)
        copies.use(folder / "copies", 1 << 30)
        yield store
    copies.use(None, copies.MAX_BYTES)
    store.stop()


@pytest.fixture(autouse=True, scope="session")
def _environment() -> None:
    """Nothing in the tests may reach for a model hub, nor need the services that they start load torch for nothing."""
    os.environ |= {"TORCH_HOME": os.devnull, "UNITSCOPE_PRELOAD": "false"}
