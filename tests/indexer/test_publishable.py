"""What no program could read again is refused before a job starts, or at the latest before it is published."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.errors import InvalidRequest
from indexer.index import manifest as manifests
from indexer.index.manifest import Manifest, publish, read_manifest
from indexer.index.shard_info import MAX_PARTS, ShardPart
from indexer.jobs import layers as layers_job
from indexer.jobs.build import BuildRequest, build
from indexer.jobs.derived.dictionary import add_dictionary
from indexer.jobs.layers import add_layers
from indexer.jobs.upkeep import compact as compact_job
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.verify import verify
from indexer.network.encoding.encoders import KMeansEncoder
from indexer.network.encoding.files import Dictionary
from tests.conftest import write_photos
from tests.indexer.test_jobs import answers
from tests.indexer.test_layers import built


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=5, count=6)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    return built(tmp_path_factory.mktemp("plain") / "index", photos, "0", "1")


@pytest.fixture
def index(tmp_path: Path, plain: Path) -> Path:
    return shutil.copytree(plain, tmp_path / "index")


def request(photos: Path, model: str, *layers: str, **changes: object) -> BuildRequest:
    settings: dict = {"model": f"tests.own_models:{model}", "weights": "none", "layers": layers, "output": "none"}
    return BuildRequest(photos, **settings | changes)


@pytest.mark.parametrize(
    ("model", "layer", "shape"),
    [
        ("many", "2", "65537 neurons and maps of 1 x 1"), ("huge", "1", "1 neurons and maps of 4100 x 4100"),
        ("long", "1", "1 neurons and maps of 1 x 65537"),
    ],
)  # fmt: skip
def test_a_layer_of_a_shape_that_no_index_takes_is_refused_before_the_job(
    photos: Path, tmp_path: Path, model: str, layer: str, shape: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"layer '{layer}' has {shape} cells; an index takes 65536 neurons"):
        build(tmp_path / "index", request(photos, model, layer))
    assert not (tmp_path / "index").exists()
    build(tmp_path / "index", request(photos, model, "0"))
    before = read_manifest(tmp_path / "index")
    with pytest.raises(InvalidRequest, match=f"layer '{layer}' has {shape} cells"):
        add_layers(tmp_path / "index", [layer])
    assert read_manifest(tmp_path / "index") == before
    assert len(list((tmp_path / "index" / "shards").iterdir())) == len(before.shards)


def test_words_that_no_manifest_takes_are_refused_before_the_job(photos: Path, tmp_path: Path) -> None:
    categories = ["a" * 5000, "b", "c"]
    with pytest.raises(InvalidRequest, match=r"no program could read .* manifest.json .*categories/0"):
        build(tmp_path / "index", request(photos, "small", "1", output="auto", categories=categories))
    assert not (tmp_path / "index").exists()


def with_parts(manifest: Manifest, count: int) -> Manifest:
    first = manifest.shards[0]
    parts = [ShardPart(f"shards/{number:06}.h5", "0" * 64, (), "0" * 64) for number in range(2, count + 2)]
    return replace(manifest, generation=2, shards=[replace(first, parts=tuple(parts)), *manifest.shards[1:]])


def test_what_is_published_can_be_read(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read_manifest(index)
    before = (index / "manifest.json").read_bytes()
    first = manifest.configuration.layers[0]
    wide = replace(manifest.configuration, layers=(replace(first, channels=70_000),))
    for wrong in (
        with_parts(manifest, MAX_PARTS + 1),
        replace(manifest, configuration=wide), replace(manifest, image_root="/" * 5000),
        replace(manifest, derived=manifest.derived | {"layer 7": "../away"}), replace(manifest, shard_size=0),
    ):  # fmt: skip
        with pytest.raises(InvalidRequest, match=r"nothing was published, .* manifest.json lacks or garbles"):
            publish(index, replace(wrong, generation=2))
        assert (index / "manifest.json").read_bytes() == before
    with monkeypatch.context() as patched:
        patched.setattr(manifests, "_MAX_BYTES", len(before))
        with pytest.raises(InvalidRequest, match=rf"manifest.json is larger than {len(before)} bytes"):
            publish(index, with_parts(manifest, 1))
    assert (index / "manifest.json").read_bytes() == before
    publish(index, with_parts(manifest, MAX_PARTS))
    assert len(read_manifest(index).shards[0].parts) == MAX_PARTS


def test_shards_of_too_many_files_are_refused_until_compact_has_joined_them(
    index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (layers_job, compact_job):
        monkeypatch.setattr(module, "MAX_PARTS", 2)
    add_layers(index, ["3"])
    add_layers(index, ["5"])
    expected = answers(index)
    centres = Dictionary(KMeansEncoder(torch.from_numpy(np.random.default_rng(0).random((3, 6), np.float32))), {})
    for more in (lambda: add_layers(index, ["2"]), lambda: add_dictionary(index, "1", "parts", centres)):
        with pytest.raises(InvalidRequest, match=r"layers were added 2 times, .* compact the index"):
            more()
        assert answers(index) == expected
    assert all(not info.parts for info in compact(index).shards)
    assert answers(index) == expected
    add_layers(index, ["2"])
    add_dictionary(index, "1", "parts", centres)
    assert verify(index) == []
