"""Atlases of neurons: by what neurons are alike, where they lie, which the index keeps; against slow twins."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.decomposition import PCA

import indexer
from indexer.atlas import likeness
from indexer.atlas.fitting import nearest, principal
from indexer.atlas.likeness import drawn_images, peak_units
from indexer.derive.carried.files import key_of
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index.manifest import read_manifest
from indexer.jobs.derived.neuron_atlas import keep_neuron_atlas, make_neuron_atlas
from indexer.jobs.packing.pack import pack
from indexer.jobs.packing.unpack import unpack
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.query.atlases.neuron_atlas import neuron_atlas, neuron_points, select_neurons, spread_neurons
from indexer.query.learning.neurons import correlated
from tests.atlas import LAYER, build_neuron_atlas
from tests.marks import seeds

WHOLE = (-0.1, -0.1, 1.1, 1.1)


@pytest.mark.parametrize("seed", seeds(3))
def test_cosines_are_the_correlations_of_peaks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    peaks = np.maximum(rng.normal(size=(12, 30)), 0).astype(np.float32)
    peaks[4] = 2.5
    rows = np.sort(rng.choice(30, 20, replace=False))
    neurons, units = peak_units(peaks, rows)
    assert neurons.tolist() == [number for number in range(12) if number != 4]
    for i, own in enumerate(neurons.tolist()):
        for k, other in enumerate(neurons.tolist()):
            assert units[i] @ units[k] == pytest.approx(pearsonr(peaks[own, rows], peaks[other, rows])[0], abs=1e-5)


def test_as_many_images_are_drawn_as_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drawn_images(50, 8, np.random.default_rng(0)).tolist() == list(range(50))
    monkeypatch.setattr(likeness, "MOST_BYTES", 4 * 8 * 20)
    drawn = drawn_images(50, 8, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == 20
    assert drawn.tolist() == sorted(drawn.tolist())


@pytest.mark.parametrize("seed", seeds(3))
def test_two_components_of_few_long_vectors_are_those_of_scikit_learn(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(15, 60)).astype(np.float32)
    expected = PCA(2).fit_transform(vectors.astype(np.float64))
    np.testing.assert_allclose(np.abs(principal(vectors)), np.abs(expected), atol=1e-4)


@pytest.fixture(scope="module")
def with_atlas(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_neuron_atlas(small_index, tmp_path_factory.mktemp("neuron atlas"))


@pytest.fixture
def own(with_atlas: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_atlas, tmp_path / "own"))


def test_nearest_are_the_correlated_neurons_of_the_product(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        peaks = index.layer(LAYER).peaks
        neurons, units = peak_units(peaks, np.arange(peaks.shape[1]))
        found, _ = nearest(units, 5)
        for place in (0, 17, 40):
            listed = correlated(index, LAYER, int(neurons[place]), limit=5).items
            assert set(neurons[found[place]].tolist()) == {neuron for neuron, _ in listed}


def test_it_holds_every_neuron_that_varies_and_says_how_true_it_is(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        atlas, peaks = neuron_atlas(index, LAYER), index.layer(LAYER).peaks
        assert atlas.neurons.tolist() == np.flatnonzero(peaks.min(axis=1) < peaks.max(axis=1)).tolist()
        assert (atlas.layout.min(), atlas.layout.max()) == (0, 1)
        recipe = atlas.recipe
        assert (recipe.images, recipe.over, recipe.generation) == (len(index.images), len(index.images), 1)
        _, units = peak_units(peaks, np.arange(peaks.shape[1]))
        cosines, far = units @ units.T, np.linalg.norm(atlas.layout[:, None] - atlas.layout, axis=2)
        np.fill_diagonal(cosines, -np.inf)
        np.fill_diagonal(far, np.inf)
        shares = [
            len(set(np.argsort(-a)[:10]) & set(np.argsort(b)[:10])) / 10 for a, b in zip(cosines, far, strict=True)
        ]
        assert recipe.compared == len(atlas)
        assert atlas.kept == pytest.approx(np.mean(shares), abs=0.01)
        assert atlas.kept_by_pca < atlas.kept


def test_the_same_seed_gives_the_same_atlas_and_twins_lie_together(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        first, again = (make_neuron_atlas(index, LAYER, perplexity=8, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.layout, again.layout)


def test_a_part_shows_neurons_with_their_top_patches(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        points = neuron_points(index, LAYER)
        shown = spread_neurons(index, LAYER, *WHOLE, 3, 2)
        assert 1 < len(shown) <= 6
        for point in shown:
            (top,) = index.top_patches(LAYER, point.neuron, limit=1).items
            assert point.patch == top
            (place,) = np.flatnonzero(points.neurons == point.neuron)
            assert points.layout[place].tolist() == list(point.layout)
            assert (points.images[place], points.cells[place]) == (
                top.image.id, top.y * index.layer(LAYER).info.width + top.x,
            )  # fmt: skip


def test_a_selection_lists_neurons_and_counts_their_classes(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        points = neuron_points(index, LAYER)
        found = select_neurons(index, LAYER, [(-0.1, -0.1), (0.5, -0.1), (0.5, 1.1), (-0.1, 1.1)], limit=4)
        inside = points.neurons[points.layout[:, 0] < 0.5]
        assert (found.total, [one.neuron for one in found.neurons]) == (len(inside), inside[:4].tolist())
        best = index.layer(LAYER).selectivity.best[inside]
        assert dict(found.classes) == {
            None if code < 0 else index.classes[code]: int((best == code).sum()) for code in set(best.tolist())
        }
        with pytest.raises(InvalidRequest, match="3 to 500 corners, not 2"):
            select_neurons(index, LAYER, [(0, 0), (1, 1)])


def test_patches_of_removed_images_are_gone_at_once_and_compact_keeps_it(own: Path) -> None:
    with indexer.open(own) as index:
        before = neuron_points(index, LAYER)
        gone = np.unique(before.images)[:5].tolist()
    remove(own, ids=gone)
    with indexer.open(own) as index:
        points = neuron_points(index, LAYER)
        np.testing.assert_array_equal(points.layout, before.layout)
        assert not np.isin(points.images, gone).any()
        shown = [point.patch.image.id for point in spread_neurons(index, LAYER, *WHOLE, 8, 8)]
        assert not np.isin(shown, gone).any()
        assert neuron_atlas(index, LAYER).recipe.images == len(index.images) + len(gone)
    compact(own)
    assert verify(own) == []
    (file,) = (own / "neuron-atlas").iterdir()
    manifest = read_manifest(own)
    assert manifest.derived[key_of("neuron-atlas", LAYER)] == f"neuron-atlas/{file.name}"
    assert bytes_by_kind(own, manifest)["atlases"] == file.stat().st_size


def test_a_damaged_one_is_found_refused_and_left_out_by_repair(own: Path) -> None:
    (file,) = (own / "neuron-atlas").iterdir()
    data = bytearray(file.read_bytes())
    data[-200:] = b"\xff" * 200
    file.write_bytes(data)
    assert [fault.file for fault in verify(own)] == [f"neuron-atlas/{file.name}"]
    with indexer.open(own) as index, pytest.raises(DamagedFile, match=f"neuron-atlas/{file.name}"):
        neuron_points(index, LAYER)
    repair(own)
    with (
        indexer.open(own) as index,
        pytest.raises(NotFound, match=r"features\.7 has no atlas of its neurons yet; .* it"),
    ):
        neuron_atlas(index, LAYER)


def test_a_pack_holds_it_and_a_second_takes_its_place(own: Path, tmp_path: Path) -> None:
    pack(own, tmp_path / "packed.tar")
    unpack(tmp_path / "packed.tar", tmp_path / "again")
    with indexer.open(own) as index, indexer.open(tmp_path / "again") as again:
        np.testing.assert_array_equal(neuron_points(index, LAYER).layout, neuron_points(again, LAYER).layout)
        keep_neuron_atlas(own, index.layer(LAYER).info, make_neuron_atlas(index, LAYER, perplexity=5))
    with indexer.open(own) as index:
        assert neuron_atlas(index, LAYER).recipe.perplexity == 5


def test_bounds_and_too_few_neurons_are_said(small_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with indexer.open(small_index) as index:
        with pytest.raises(InvalidRequest, match="perplexity must be 2 to 500, not 1"):
            make_neuron_atlas(index, LAYER, perplexity=1)
        monkeypatch.setattr(index.layer(LAYER), "peaks", np.ones((3, len(index.images)), np.float32))
        with pytest.raises(
            InvalidRequest, match="at least 10 neurons whose peak is not the same on all images; there are"
        ):
            make_neuron_atlas(index, LAYER)
