"""Indexes that earlier formats wrote are read, or upgraded, and answer as they did; see tests/frozen/README.md."""

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.jobs.build import add
from indexer.jobs.verify import verify
from tests.frozen.answers import answers_of

FROZEN = Path(__file__).parents[1] / "frozen"
FORMATS = sorted(path.name for path in FROZEN.glob("format-*"))
KINDS = ("flat", "inverted", "codes")


@pytest.fixture(params=FORMATS)
def format_(request: pytest.FixtureRequest) -> Path:
    return FROZEN / request.param


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def frozen(format_: Path, kind: str, tmp_path: Path) -> Path:
    """A frozen index, unpacked."""
    with tarfile.open(format_ / "indexes.tar.xz") as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path / kind


def assert_same(found: Any, frozen: Any, at: str = "answers") -> None:
    """Equal, where numbers that are computed anew may differ in their last digits."""
    if isinstance(frozen, dict):
        assert found.keys() == frozen.keys(), at
        for key in frozen:
            assert_same(found[key], frozen[key], f"{at}.{key}")
    elif isinstance(frozen, list):
        assert len(found) == len(frozen), at
        for number, pair in enumerate(zip(found, frozen, strict=True)):
            assert_same(*pair, f"{at}[{number}]")
    elif isinstance(frozen, float):
        assert found == pytest.approx(frozen, rel=1e-5, abs=1e-6), at
    else:
        assert found == frozen, at


def test_every_format_is_there() -> None:
    assert "format-2" in FORMATS
    assert sum(path.stat().st_size for path in FROZEN.rglob("*") if path.is_file()) < 300_000 * len(FORMATS)


def test_a_frozen_index_is_whole_and_answers_as_it_did(frozen: Path, format_: Path, kind: str) -> None:
    assert verify(frozen) == []
    with indexer.open(frozen) as index:
        answers = json.loads(json.dumps(answers_of(index)))
    assert_same(answers, json.loads((format_ / f"{kind}.json").read_text()))


def test_a_frozen_index_takes_new_images_and_keeps_what_it_knew(format_: Path, frozen: Path, kind: str) -> None:
    """It has the maps that today's code computes from the same picture, so an old index can grow."""
    before = json.loads((format_ / f"{kind}.json").read_text())
    more = frozen.parent / "more"
    more.mkdir()
    manifest = frozen / "manifest.json"  # the image root is there again, with new pictures
    manifest.write_text(manifest.read_text().replace("/pictures/that/are/gone", str(more)))
    with indexer.open(frozen) as index:
        twin = index.image(before["images"][0]["id"])
        (more / "again.png").write_bytes(index.original(twin))
    Image.fromarray(np.full((30, 41, 3), 90, np.uint8)).save(more / "grey.png")
    add(frozen)
    assert verify(frozen) == []
    with indexer.open(frozen) as index:
        assert len(index.images) == len(before["images"]) + 2
        again = next(image for image in map(index.image, index.images.id.tolist()) if image.path == "again.png")
        for layer in index.layers:
            old, new = index.activation_maps(twin.id, layer), index.activation_maps(again.id, layer)
            np.testing.assert_allclose(new.astype(float), old.astype(float), rtol=2e-3, atol=2e-3)
