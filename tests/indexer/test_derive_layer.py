"""Deriving a layer: in parts that anybody may do, in any order, as often as they like."""

import pickle
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import indexer
from indexer.derive import layer as module
from indexer.derive.executor import Executor, LocalExecutor, in_order
from indexer.derive.image_table import write_image_table
from indexer.derive.layer import write_layer
from indexer.derive.selectivity import DEAD
from indexer.derive.sources import Sources, closing_opened, open_shards
from indexer.index.manifest import read_manifest
from indexer.jobs.build import build
from indexer.shards.format import LEAST_POSITIVE, as_kept
from indexer.shards.reader import Shard
from tests.conftest import build_request, write_photos

LAYER = "features.7"
IMAGES = 40


class Elsewhere:
    """Does parts twice, in an order of its own, and hands over copies, as an engine would."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple]) -> Iterator[tuple[int, Any]]:
        for number in self._rng.permutation(len(tasks)).tolist():
            sent = pickle.loads(pickle.dumps((function, tasks[number])))
            first, again = (pickle.dumps(sent[0](*sent[1])) for _ in range(2))
            assert first == again
            yield number, pickle.loads(first)

    def sharing(self, file: Path, folder: Path) -> nullcontext[Path]:
        return nullcontext(file)


def derive(index: Path, out: Path, removed: set[int], executor: Executor) -> bytes:
    manifest = read_manifest(index)
    with open_shards(index, manifest) as shards:
        write_image_table(out / "images.h5", shards, removed)
    sources = Sources(index, manifest.configuration, tuple(manifest.shards), out / "images.h5")
    info = next(info for info in manifest.configuration.layers if info.name == LAYER)
    with closing_opened():
        write_layer(out / "layer.h5", info, sources, executor)
    return (out / "layer.h5").read_bytes()


@pytest.mark.parametrize("removed", [set(), {1, 17, 18, 39}, set(range(16, 32))])
def test_each_shard_is_read_once_and_blocks_do_not_matter(
    small_index: Path, tmp_path: Path, removed: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: Counter[tuple[str, str]] = Counter()
    for name in ("peaks", "histogram", "maps"):
        read = getattr(Shard, name)

        def counting(self: Shard, *arguments: object, read=read, name=name) -> object:
            reads[name, self.name, *map(str, arguments)] += 1
            return read(self, *arguments)

        monkeypatch.setattr(Shard, name, counting)
    monkeypatch.setattr(module, "BLOCK_NEURONS", 1000)
    whole = derive(small_index, tmp_path, removed, LocalExecutor())
    assert len(reads) == 3 * 3 + IMAGES, "peaks (twice) and histogram of three shards; maps, also of what is removed"
    assert set(reads.values()) == {1}
    monkeypatch.setattr(module, "BLOCK_BYTES", 3 * 4 * 40)
    monkeypatch.setattr(module, "RUN_SHARDS", 1)
    assert derive(small_index, tmp_path, removed, LocalExecutor()) == whole
    assert derive(small_index, tmp_path, removed, Elsewhere(seed=len(removed))) == whole


@pytest.mark.parametrize("removed", [set(), {1, 17, 18, 39}, set(range(16, 32))])
def test_peaks_by_image_are_those_by_neuron(small_index: Path, tmp_path: Path, removed: set[int]) -> None:
    derive(small_index, tmp_path, removed, LocalExecutor())
    with h5py.File(tmp_path / "layer.h5") as file:
        by_image, by_neuron = file["peaks_by_image"][()], file["peaks"][()]
    assert by_neuron.shape[0] != by_neuron.shape[1]
    np.testing.assert_array_equal(by_image, by_neuron.T)


def test_a_file_without_peaks_by_image_answers_the_same(own_index: Path) -> None:
    asked = lambda index: [  # noqa: E731
        index.neurons_firing(image.id, limit=30) for image in index.find_images(limit=100).items
    ]
    with indexer.open(own_index) as index:
        expected, file = asked(index), own_index / index.layers[LAYER].file
    with h5py.File(file, "r+") as derived:
        del derived["peaks_by_image"]
    with indexer.open(own_index) as index:
        assert asked(index) == expected


def test_an_activation_is_positive_if_it_is_kept_so(tmp_path: Path) -> None:
    """In a layer of one cell, as many images as cells are positive, also where float16 leaves 0 of a peak."""
    photos = write_photos(tmp_path / "photos", seed=2, count=12)
    settings = {"model": "tests.own_models:faint", "weights": "none", "layers": ("2",), "preprocessing": {}}
    build(tmp_path / "index", build_request(photos, **settings))
    with indexer.open(tmp_path / "index") as index:
        peaks, found = np.asarray(index.layer("2").peaks), index.neuron_statistics("2")
        positive = peaks.astype(np.float16) > 0
        lost = (peaks > 0) & ~positive
        assert lost.any(axis=1).sum() > 5, "some are lost"
        assert ((peaks > 0).any(axis=1) & ~positive.any(axis=1)).any(), "some neurons lose all"
        assert positive.any()
        assert found["positive_images"].tolist() == positive.mean(axis=1).tolist()
        assert found["positive_cells"].tolist() == pytest.approx(positive.mean(axis=1).tolist(), abs=1e-12)
        assert found["dead"].tolist() == (~positive.any(axis=1)).tolist()
        assert (index.layer("2").states == DEAD).tolist() == found["dead"].tolist()
        for neuron in range(len(peaks)):
            for per_image in ("one", "all"):
                top = index.top_patches("2", neuron, limit=99, min=LEAST_POSITIVE, per_image=per_image)
                assert {hit.image.id for hit in top.items} == set(np.flatnonzero(positive[neuron]).tolist())


def test_the_least_positive_activation_is_the_least_that_is_kept() -> None:
    least = np.float32(LEAST_POSITIVE)
    assert as_kept(least) > 0
    assert as_kept(np.nextafter(least, np.float32(0))) == 0
    values = np.float32(2.0) ** np.random.default_rng(0).uniform(-28, -20, 100_000).astype(np.float32)
    assert ((values >= LEAST_POSITIVE) == (as_kept(values) > 0)).all()


def test_results_that_come_early_wait_for_their_turn() -> None:
    assert list(in_order([(2, "c"), (0, "a"), (3, "d"), (1, "b")])) == ["a", "b", "c", "d"]
