"""Atlases: what is laid out, how many neighbours that keeps, and what a selection tells; against slow twins."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from sklearn.decomposition import PCA

import indexer
from indexer.atlas.fitting import Placing, nearest, principal
from indexer.atlas.kept import kept_share
from indexer.atlas.points import choose
from indexer.derive.carried.atlas import read_atlas
from indexer.derive.carried.files import key_of
from indexer.derive.unit import unit
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.index.manifest import read_manifest
from indexer.jobs.derived.atlas import keep_atlas, make_atlas
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.compact import compact
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.query.atlases.atlas import points_of, select, spread, within
from indexer.query.cells import vectors_at
from tests.atlas import LAYER, build_atlas
from tests.marks import seeds
from tests.object_store import ObjectStore, upload


def units(seed: int, count: int = 60, size: int = 6) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, size)).astype(np.float32))


# -- points -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(3))
def test_as_many_cells_of_each_image(seed: int) -> None:
    drawn = choose(7, 20, 52, np.random.default_rng(seed))
    assert set(np.bincount(drawn.rows).tolist()) == {7, 8}
    assert len(set(zip(drawn.rows.tolist(), drawn.cells.tolist(), strict=True))) == 52
    assert drawn.cells.max() < 20


def test_all_cells_where_there_are_fewer() -> None:
    drawn = choose(3, 4, 100, np.random.default_rng(0))
    assert sorted(zip(drawn.rows.tolist(), drawn.cells.tolist(), strict=True)) == [
        (row, cell) for row in range(3) for cell in range(4)
    ]
    assert len(choose(0, 4, 100, np.random.default_rng(0))) == 0


def test_vectors_are_those_of_the_maps(small_index: Path) -> None:
    rows, cells = np.array([4, 0, 29, 0]), np.array([0, 3, 17, 34])
    with indexer.open(small_index) as index:
        found = vectors_at(index, LAYER, rows, cells)
        for row, cell, vector in zip(rows.tolist(), cells.tolist(), found, strict=True):
            maps = index.activation_maps(int(index.images.id[row]), LAYER)
            np.testing.assert_array_equal(vector, maps.reshape(len(maps), -1)[:, cell])


# -- laying out ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(3))
def test_neighbours_are_those_of_brute_force(seed: int) -> None:
    vectors = units(seed)
    vectors[5] = vectors[3]  # an equal one is a neighbour, the vector itself is not
    numbers, distances = nearest(vectors, 7)
    far = np.linalg.norm(vectors[:, None] - vectors, axis=2).astype(np.float64)
    np.fill_diagonal(far, np.inf)
    np.testing.assert_allclose(distances, np.sort(far, axis=1)[:, :7], atol=1e-3)
    assert not (numbers == np.arange(60)[:, None]).any()
    assert {3, 5} == {numbers[5, 0], numbers[3, 0]}


@pytest.mark.parametrize("seed", seeds(3))
def test_two_components_are_those_of_scikit_learn(seed: int) -> None:
    vectors = units(seed)
    expected = PCA(2).fit_transform(vectors.astype(np.float64))
    np.testing.assert_allclose(np.abs(principal(vectors)), np.abs(expected), atol=1e-5)


@pytest.mark.parametrize("seed", seeds(3))
def test_others_lie_at_the_mean_of_their_neighbours(seed: int) -> None:
    fitted, others = units(seed), units(seed + 100, 9)
    layout = np.random.default_rng(seed).random((60, 2))
    placed = Placing(fitted, layout).place(others)
    for vector, place in zip(others, placed, strict=True):
        cosines = fitted @ vector
        five = np.argsort(-cosines)[:5]
        np.testing.assert_allclose(place, np.average(layout[five], axis=0, weights=cosines[five]), atol=1e-6)


@pytest.mark.parametrize("seed", seeds(3))
def test_kept_neighbours_are_counted_as_by_hand(seed: int) -> None:
    vectors, layout = units(seed), np.random.default_rng(seed).random((60, 2))
    sample = np.array([0, 7, 33])
    shares = []
    for one in sample.tolist():
        near = [other for other in np.argsort(-(vectors @ vectors[one]), kind="stable").tolist() if other != one]
        shown = np.argsort(np.linalg.norm(layout - layout[one], axis=1), kind="stable").tolist()
        shown.remove(one)
        shares.append(len(set(near[:10]) & set(shown[:10])) / 10)
    assert kept_share(vectors, layout, sample, 10) == pytest.approx(np.mean(shares))


@pytest.mark.parametrize("seed", seeds(3))
def test_a_point_lies_within_as_even_and_odd_crossings_say(seed: int) -> None:
    rng = np.random.default_rng(seed)
    star = np.array([(np.cos(turn), np.sin(turn)) for turn in np.arange(7) * 2 * np.pi / 7]) * rng.random((7, 1))
    layout = rng.random((500, 2)).astype(np.float32) * 2 - 1
    np.testing.assert_array_equal(within(layout, star), Outline(star).contains_points(layout))


# -- of an index --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_atlas(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small index with an atlas: 250 cells laid out, 150 placed."""
    return build_atlas(small_index, tmp_path_factory.mktemp("atlas"), points=400, fitted=250)


@pytest.fixture
def own(with_atlas: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(with_atlas, tmp_path / "own"))


def test_the_atlas_is_of_the_cells_it_names(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        atlas = index.atlas(LAYER)
        assert len(atlas) == 400
        assert atlas.fitted.sum() == 250
        assert atlas.layout.min() == 0
        assert atlas.layout.max() == 1
        highest = index.neuron_statistics(LAYER)["maximum"]
        for image, cell, neuron in zip(atlas.images[:12], atlas.cells[:12], atlas.neurons[:12], strict=True):
            maps = index.activation_maps(int(image), LAYER)
            shares = maps.reshape(len(maps), -1)[:, cell] / np.where(highest > 0, highest, np.inf)
            assert shares[neuron] == pytest.approx(shares.max())
        assert 0 < atlas.kept_by_pca < atlas.kept <= 1
        assert (atlas.recipe.images, atlas.recipe.generation, atlas.recipe.seed) == (len(index.images), 1, 0)


def test_the_same_seed_gives_the_same_atlas(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        first, again, other = (
            make_atlas(index, LAYER, points=60, fitted=40, perplexity=5, seed=seed) for seed in (3, 3, 4)
        )
    np.testing.assert_array_equal(first.layout, again.layout)
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.cells, other.cells)


def test_a_part_shows_a_point_for_each_cell_of_a_grid(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        points = points_of(index, LAYER)
        shown = spread(index, LAYER, 0.2, 0.1, 0.8, 0.7, 5, 4)
        width = index.layer(LAYER).info.width
        best: dict[tuple[int, int], float] = {}
        for x, y in points.layout.astype(np.float64):
            column, row = (x - 0.2) / 0.6 * 5, (y - 0.1) / 0.6 * 4
            if 0 <= column < 5 and 0 <= row < 4:
                cell = int(column), int(row)
                far = (column - cell[0] - 0.5) ** 2 + (row - cell[1] - 0.5) ** 2
                best[cell] = min(far, best.get(cell, np.inf))
        assert len(shown) == len(best)
        for spot in shown:
            (number,) = np.flatnonzero((points.images == spot.image.id) & (points.cells == spot.y * width + spot.x))
            assert points.layout[number].tolist() == list(spot.layout)
        with pytest.raises(InvalidRequest, match="left < right"):
            spread(index, LAYER, 0.5, 0, 0.5, 1, 2, 2)


def test_a_selection_counts_and_compares(with_atlas: Path) -> None:
    with indexer.open(with_atlas) as index:
        points = points_of(index, LAYER)
        chosen = select(index, LAYER, [(0, 0), (0.5, 0), (0.5, 1), (0, 1)], limit=5)
        inside = points.layout[:, 0] < 0.5
        assert chosen.points == inside.sum()
        assert chosen.images == len(set(points.images[inside].tolist()))
        assert sum(count for _, count in chosen.classes) == chosen.points
        neuron = chosen.neurons[0].neuron
        vectors = vectors_at(index, LAYER, points.rows, points.cells)[:, neuron]
        spread_ = index.neuron_statistics(LAYER)["std"][neuron]
        expected = (vectors[inside].mean() - vectors[~inside].mean()) / spread_
        assert chosen.neurons[0].difference == pytest.approx(expected, rel=1e-4)
        assert chosen.direction[neuron] == chosen.neurons[0].difference
        with pytest.raises(InvalidRequest, match="all of the 400 points lie within"):
            select(index, LAYER, [(-1, -1), (2, -1), (2, 2), (-1, 2)])
        with pytest.raises(InvalidRequest, match="3 to 500 corners, not 2"):
            select(index, LAYER, [(0, 0), (1, 1)])


def test_removed_images_are_hidden_at_once_and_erased_by_compact(own: Path) -> None:
    with indexer.open(own) as index:
        gone = index.images.id[[0, 9]].tolist()
    remove(own, ids=gone)
    with indexer.open(own) as index:
        shown = points_of(index, LAYER)
        assert len(shown) < 400
        assert not np.isin(shown.images, gone).any()
        np.testing.assert_array_equal(index.images.id[shown.rows], shown.images)
    compact(own)
    assert verify(own) == []
    (file,) = (own / "atlas").iterdir()
    manifest = read_manifest(own)
    assert manifest.derived[key_of("atlas", LAYER)] == f"atlas/{file.name}"
    layer = next(info for info in manifest.configuration.layers if info.name == LAYER)
    stored = read_atlas(own, f"atlas/{file.name}", layer)
    np.testing.assert_array_equal(stored.images, shown.images)
    assert bytes_by_kind(own, manifest)["atlases"] == file.stat().st_size


def test_images_that_were_erased_while_it_was_made_are_not_kept(own: Path) -> None:
    with indexer.open(own) as index:
        layer, gone = index.layer(LAYER).info, index.images.id[[0]].tolist()
        made = make_atlas(index, LAYER, points=50, fitted=40, perplexity=5)
    remove(own, ids=gone)
    compact(own)
    keep_atlas(own, layer, made)
    with indexer.open(own) as index:
        assert set(index.atlas(LAYER).images.tolist()) == set(made.images.tolist()) - set(gone)


def test_of_few_cells_it_says_how_many_neighbours_were_compared(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        made = make_atlas(index, LAYER, points=10, fitted=10)
    assert len(made) == 10
    assert made.recipe.neighbours == 8


def test_a_damaged_atlas_is_found_refused_and_left_out_by_repair(own: Path) -> None:
    (file,) = (own / "atlas").iterdir()
    data = bytearray(file.read_bytes())
    data[-200:] = b"\xff" * 200
    file.write_bytes(data)
    assert [fault.file for fault in verify(own)] == [f"atlas/{file.name}"]
    with indexer.open(own) as index, pytest.raises(DamagedFile, match=f"atlas/{file.name}"):
        points_of(index, LAYER)
    repair(own)
    with indexer.open(own) as index, pytest.raises(NotFound, match=r"layer features\.7 has no atlas yet; .* makes it"):
        index.atlas(LAYER)


def test_a_second_atlas_takes_the_place_of_the_first(own: Path) -> None:
    with indexer.open(own) as index:
        keep_atlas(own, index.layer(LAYER).info, make_atlas(index, LAYER, points=50, fitted=40, perplexity=5))
    with indexer.open(own) as index:
        assert len(index.atlas(LAYER)) == 50
    compact(own)
    assert len(list((own / "atlas").iterdir())) == 1
    assert verify(own) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 5}, "points must be 10 to 1000000, not 5"),
        ({"fitted": 200_000}, "fitted must be 10 to 100000, not 200000"),
        ({"perplexity": 1}, "perplexity must be 2 to 500, not 1"),
        ({"seed": -1}, "seed must be 0 to"),
    ],
)
def test_bounds_are_said(small_index: Path, options: dict[str, int], message: str) -> None:
    with indexer.open(small_index) as index, pytest.raises(InvalidRequest, match=message):
        make_atlas(index, LAYER, **options)


def test_in_a_bucket_as_on_a_disk(object_store: ObjectStore, with_atlas: Path) -> None:
    place = upload(with_atlas, object_store.place("atlas/index"))
    with indexer.open(place) as index, indexer.open(with_atlas) as local:
        np.testing.assert_array_equal(points_of(index, LAYER).layout, points_of(local, LAYER).layout)
        keep_atlas(place, index.layer(LAYER).info, make_atlas(index, LAYER, points=50, fitted=40, perplexity=5))
    with indexer.open(place) as index:
        assert len(index.atlas(LAYER)) == 50
