"""What `info` says of an index's bytes: all of them, each once, and of the kind that they are."""

import json
import os
import shutil
from pathlib import Path

import h5py
import pytest

from indexer.cli import main
from indexer.derive.nearest import vectors
from indexer.index.manifest import read_manifest
from indexer.jobs.build import build
from indexer.jobs.info import describe
from indexer.jobs.space import KINDS, bytes_by_kind
from indexer.jobs.upkeep.remove import remove
from tests.conftest import build_request, write_photos

LAYERS = ("features.7", "features.12")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index with the files of its pictures, whose vectors are codes in lists."""
    folder = tmp_path_factory.mktemp("space")
    photos = write_photos(folder / "photos", seed=3, count=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vectors, "FLAT_BYTES", 1000)
        patch.setattr(vectors, "FALLBACK_BYTES", 0)
        build(folder / "index", build_request(photos, layers=LAYERS, shard_size=5, keep_images=True))
    return folder / "index"


@pytest.fixture
def index(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


def on_disk(index: Path) -> int:
    return sum(path.stat().st_size for path in index.rglob("*") if path.is_file() and path.name != "lock")


def test_every_byte_is_counted_once(index: Path) -> None:
    kinds = bytes_by_kind(index, read_manifest(index))
    assert sum(kinds.values()) == on_disk(index)
    left_out = {
        "labels",
        "effective fields",
        "scores",
        "atlases",
        "patch vectors",
        "made images",
        "unreadable",
        "not of this generation",
    }
    assert set(kinds) == set(KINDS) - left_out
    remove(index, ids=[3])
    kinds = bytes_by_kind(index, read_manifest(index))
    assert sum(kinds.values()) == on_disk(index)
    first = sum(path.stat().st_size for path in (index / "derived/000001").iterdir())
    assert kinds["not of this generation"] == first


def test_kinds_are_those_of_the_arrays(index: Path) -> None:
    manifest, kinds = read_manifest(index), bytes_by_kind(index, read_manifest(index))
    shards, derived = ([h5py.File(index / file) for file in files] for files in (
        [shard.file for shard in manifest.shards], [manifest.derived[f"layer {name}"] for name in LAYERS]
    ))  # fmt: skip

    def stored(files: list[h5py.File], *names: str) -> int:
        return sum(file[name].id.get_storage_size() for file in files for name in names)

    def of_layers(*names: str) -> list[str]:
        return [f"layers/{layer}/{name}" for layer in LAYERS for name in names]

    assert kinds["activations"] == stored(shards, *of_layers("present", "values", "ends"))
    assert kinds["peaks in shards"] == stored(shards, *of_layers("peaks", "peak_cells"))
    assert kinds["histograms in shards"] == stored(shards, *of_layers("histogram/present", "histogram/counts"))
    assert kinds["originals"] == stored(shards, "originals/data", "originals/end")
    assert kinds["peaks"] == sum(4 * 4 * 12 * layer.channels for layer in manifest.configuration.layers)
    entries = sum(len(file["histogram/codes"]) for file in derived)
    assert kinds["histograms"] == 6 * entries + 8 * sum(layer.channels for layer in manifest.configuration.layers)
    for kind, key in (("image table", "images"), ("vectors", "vectors {}"), ("lists of vectors", "lists {}")):
        files = {manifest.derived[key.format(name)] for name in LAYERS}
        assert kinds[kind] == sum((index / file).stat().st_size for file in files)


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 900), lambda path: path.write_bytes(b"x" * 5000)])
@pytest.mark.parametrize("which", ["shards/000001.h5", "derived/000001/features.7.h5"])
def test_what_cannot_be_read_is_counted_as_that(index: Path, which: str, damage) -> None:
    damage(index / which)
    kinds = bytes_by_kind(index, read_manifest(index))
    assert kinds["unreadable"] == (index / which).stat().st_size
    assert sum(kinds.values()) == on_disk(index)
    (index / which).unlink()
    kinds = bytes_by_kind(index, read_manifest(index))
    assert "unreadable" not in kinds
    assert sum(kinds.values()) == on_disk(index)


def test_info_says_it(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    about = describe(index)["bytes"]
    assert (about["total"], about["an_image"]) == (on_disk(index), round(on_disk(index) / 12))
    assert main(["info", str(index), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == about
    assert main(["info", str(index)]) == 0
    printed = capsys.readouterr().out
    assert f"bytes: {about['total']:,}, {about['an_image']:,} an image\n" in printed
    for kind, size in about["kinds"].items():
        assert f"  {kind}: {size['bytes']:,}, {size['an_image']:,} an image\n" in printed
