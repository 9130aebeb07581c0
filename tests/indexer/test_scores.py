"""Scores of neurons: against definitions written out over pairs of patches, and k-means of scikit-learn."""

import shutil
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.cli import main
from indexer.derive.scores import measures
from indexer.derive.unit import unit
from indexer.errors import DamagedFile, InvalidRequest, NotFound
from indexer.exports.coco import export_patches
from indexer.index import hdf5
from indexer.index.manifest import read_manifest
from indexer.jobs.build import add
from indexer.jobs.derived.scores import work_out_scores
from indexer.jobs.layers import drop_layers
from indexer.jobs.space import bytes_by_kind
from indexer.jobs.upkeep.remove import remove
from indexer.jobs.upkeep.verify import repair, verify
from indexer.query.index import Index
from indexer.query.learning.groups import groups
from indexer.query.learning.neurons import table
from tests.conftest import moved_index, random_photo
from tests.marks import seeds

LAYER, BY, PATCHES = "features.7", "features.12", 9


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / lengths) if lengths else 0.0


def mean_cosine(vectors: np.ndarray) -> float:
    return float(np.mean([cosine(a, b) for a, b in combinations(vectors, 2)]))


def clustered(seed: int, count: int, dimensions: int, groups: int, spread: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.random((groups, dimensions))
    return centres[rng.integers(0, groups, count)] + spread * rng.normal(size=(count, dimensions))


# -- definitions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", seeds(4))
def test_clarity_is_the_mean_cosine_of_pairs(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(7, 5))
    assert measures.clarity(vectors) == pytest.approx(mean_cosine(vectors), abs=1e-12)
    vectors[2] = 0
    assert measures.clarity(vectors) == pytest.approx(mean_cosine(vectors), abs=1e-12)
    assert np.isnan(measures.clarity(vectors[:1]))
    assert measures.clarity(np.tile(vectors[0], (3, 1))) == pytest.approx(1)


def scatter(vectors: np.ndarray, labels: np.ndarray) -> float:
    """What k-means makes small: squared distances to the mean of the own group."""
    parts = [vectors[labels == label] for label in np.unique(labels)]
    return float(sum(np.square(part - part.mean(axis=0)).sum() for part in parts))


@pytest.mark.parametrize("seed", seeds(6))
@pytest.mark.parametrize(("groups", "spread"), [(2, 0.05), (3, 0.2), (1, 1.0)])
def test_groups_are_as_good_as_those_of_scikit_learn(seed: int, groups: int, spread: float) -> None:
    cluster = pytest.importorskip("sklearn.cluster", reason="the extra dictionaries is not installed")
    vectors = clustered(seed, 30, 12, groups, spread)
    theirs = cluster.KMeans(2, n_init=10, random_state=123).fit(vectors)
    mine = measures.split(vectors)
    assert mine[0] == 0
    assert set(mine.tolist()) == {0, 1}
    assert scatter(vectors, mine) <= theirs.inertia_ * (1 + 1e-9)
    if groups == 2:
        first, second = theirs.cluster_centers_
        assert measures.polysemanticity(vectors, mine) == pytest.approx(1 - cosine(first, second), abs=1e-9)


@pytest.mark.parametrize("seed", seeds(3))
def test_few_vectors_have_the_best_of_all_splits(seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(8, 3))
    splits = [np.array([number >> bit & 1 for bit in range(8)]) for number in range(1, 128)]
    assert scatter(vectors, measures.split(vectors)) == pytest.approx(min(scatter(vectors, one) for one in splits))


def test_a_group_of_one_is_no_meaning() -> None:
    vectors = clustered(1, 12, 4, 1, 0.01)
    vectors[5] = -vectors[5]
    found = measures.split(vectors)
    assert np.flatnonzero(found).tolist() == [5]
    mean = vectors.mean(axis=0)
    expected = 1 - np.mean([cosine(vector, mean) for vector in vectors[:10]])
    assert measures.polysemanticity(vectors, found) == pytest.approx(expected)
    alike = np.tile(vectors[0], (6, 1))
    assert not measures.split(alike).any()
    assert measures.polysemanticity(alike, measures.split(alike)) == pytest.approx(0)


def test_redundancy_is_the_nearest_of_those_that_are_known() -> None:
    means = np.random.default_rng(2).normal(size=(9, 4))
    known = np.arange(9) != 3
    means[3] = means[4]
    nearest, cosines = measures.redundancy(means, known)
    for neuron in np.flatnonzero(known):
        others = [other for other in np.flatnonzero(known) if other != neuron]
        best = max(others, key=lambda other: cosine(means[neuron], means[other]))
        assert (nearest[neuron], cosines[neuron]) == (best, pytest.approx(cosine(means[neuron], means[best])))
    assert nearest[3] == -1
    assert np.isnan(cosines[3])


# -- an index -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scored(small_index: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(shutil.copytree(small_index, tmp_path_factory.mktemp("scores") / "own"))
    work_out_scores(folder, LAYER, BY, patches=PATCHES)
    return folder


@pytest.fixture
def own(scored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scored, tmp_path / "own"))


def middles(index: Index) -> tuple[list[float], list[float]]:
    """Where the fields of the deeper layer's rows and columns have their middle, in the input."""
    field, (height, width) = index.layer(BY).info.field, index.manifest.configuration.preprocessing.input_size
    rows, columns = index.layer(BY).info.shape
    return (
        [min(max(field.y.start + field.y.stride * y + field.y.size / 2, 0), height - 0.5) for y in range(rows)],
        [min(max(field.x.start + field.x.stride * x + field.x.size / 2, 0), width - 0.5) for x in range(columns)],
    )


def vectors_by_hand(index: Index, pool: str) -> list[np.ndarray]:
    """By neuron, means over the cells of the deeper layer whose fields have their middle in the patch."""
    maps = {id: index.activation_maps(id, BY) for id in index.images.id.tolist()}
    rows, columns = middles(index)
    found = []
    for neuron in range(index.layer(LAYER).info.channels):
        vectors = []
        for patch in index.top_patches(LAYER, neuron, limit=PATCHES, min=1e-30).items:
            box = index.layer(LAYER).info.field.box(patch.y, patch.x)
            inside = [
                maps[patch.image.id][:, y, x]
                for y, row in enumerate(rows) for x, column in enumerate(columns)
                if pool == "image" or (box.left <= column < box.right and box.top <= row < box.bottom)
            ]  # fmt: skip
            vectors.append(np.mean(inside, axis=0))
        found.append(np.array(vectors))
    return found


def check(path: Path, pool: str, neurons: range) -> None:
    with indexer.open(path) as index:
        scores = index.layer(LAYER).scored()
        vectors = vectors_by_hand(index, pool)
        known = [neuron for neuron, own in enumerate(vectors) if len(own)]
        for neuron in neurons:
            own = vectors[neuron]
            if len(own) < 2:
                assert np.isnan(scores.clarity[neuron])
                assert np.isnan(scores.polysemanticity[neuron])
                continue
            assert scores.clarity[neuron] == pytest.approx(mean_cosine(own), abs=1e-5)
            labels = scores.groups[neuron, : len(own)]
            assert (scores.groups[neuron, len(own) :] == -1).all()
            assert scores.polysemanticity[neuron] == pytest.approx(measures.polysemanticity(own, labels), abs=1e-5)
            others = [other for other in known if other != neuron]
            cosines = [cosine(own.mean(axis=0), vectors[other].mean(axis=0)) for other in others]
            assert scores.redundancy[neuron] == pytest.approx(max(cosines), abs=1e-5)
            assert cosines[others.index(scores.nearest[neuron])] == pytest.approx(max(cosines), abs=1e-5)
        pairs = [
            cosine(a, b)
            for one, other in combinations(known[:4], 2) for a in vectors[one] for b in vectors[other]
        ]  # fmt: skip
        units = [unit(own.astype(np.float64)).sum(axis=0) for own in (vectors[n] for n in known[:4])]
        counts = np.array([len(vectors[n]) for n in known[:4]])
        assert measures.between(np.array(units), counts) == pytest.approx(np.mean(pairs), abs=1e-6)


def test_scores_are_those_by_hand(scored: Path) -> None:
    check(scored, "box", range(0, 256, 37))


def test_pooled_over_the_image(own: Path) -> None:
    manifest = work_out_scores(own, LAYER, BY, patches=PATCHES, pool="image")
    assert manifest.scores[LAYER].pool == "image"
    check(own, "image", range(5, 256, 61))


def test_an_export_has_the_scores(scored: Path, tmp_path: Path) -> None:
    with indexer.open(scored) as index:
        alive = np.flatnonzero(~np.isnan(index.layer(LAYER).scored().clarity))[:2].tolist()
        labels = export_patches(index, LAYER, alive, tmp_path / "out", top=2)
        for neuron, category in zip(alive, labels["categories"], strict=True):
            row = table(index, LAYER).row(neuron)
            assert all(category[name] == row[name] for name in ("clarity", "polysemanticity", "redundancy", "nearest"))
        (plain,) = export_patches(index, BY, [3], tmp_path / "plain", top=1)["categories"]
        assert "clarity" not in plain


def test_groups_hold_the_top_patches(scored: Path) -> None:
    with indexer.open(scored) as index:
        alive = np.flatnonzero(~index.layer(LAYER).dead)[:20].tolist()
        for neuron in alive:
            found = groups(index, LAYER, neuron)
            patches = index.top_patches(LAYER, neuron, limit=PATCHES, min=1e-30).items
            assert found[0].patches[0] == patches[0]
            together = sorted((patch for group in found for patch in group.patches), key=lambda p: -p.activation)
            assert together == patches
            for group in found:
                assert (group.clarity is None) == (len(group.patches) < 2)
        with pytest.raises(NotFound, match=r"--layer features.12 --by DEEPER"):
            groups(index, BY, 0)
        with pytest.raises(NotFound, match="has the neurons"):
            groups(index, LAYER, 9999)


def test_neurons_are_sorted_and_filtered(scored: Path) -> None:
    with indexer.open(scored) as index:
        neurons, clarity = table(index, LAYER), index.layer(LAYER).scored().clarity
        ranking = neurons.ranked("clarity", descending=True, least=0.5)
        assert ranking.tolist() == [n for n in np.argsort(-clarity, kind="stable").tolist() if clarity[n] >= 0.5]
        middle = float(np.nanmedian(clarity))
        both = neurons.ranked("clarity", least=middle, most=middle + 0.01).tolist()
        assert all(middle <= clarity[n] <= middle + 0.01 for n in both)
        row = neurons.row(int(ranking[0]))
        assert row["clarity"] == clarity[ranking[0]]
        assert isinstance(row["nearest"], int)
        assert "clarity" not in table(index, BY).row(0)
        with pytest.raises(NotFound, match="has no scores yet"):
            table(index, BY).ranked("redundancy")


def test_scores_go_through_the_life_of_an_index(scored: Path, photo_folder: Path, tmp_path: Path) -> None:
    images = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    own = moved_index(scored, images, tmp_path / "own")
    with indexer.open(own) as index:
        before = index.layer(LAYER).scored()
        gone = index.top_patches(LAYER, int(before.nearest[before.nearest >= 0][0]), limit=1).items[0].image
    drop_layers(own, ["classifier"])
    with indexer.open(own) as index:
        np.testing.assert_array_equal(index.layer(LAYER).scored().clarity, before.clarity)
    assert bytes_by_kind(own, read_manifest(own))["scores"] > 0
    remove(own, [gone.id])
    with indexer.open(own) as index:
        assert gone.id not in {p.image.id for n in range(8) for g in groups(index, LAYER, n) for p in g.patches}
    random_photo(np.random.default_rng(9), 140, 100).save(images / "birds" / "new.png")
    add(own)
    check(own, "box", range(3, 256, 97))
    assert verify(own) == []
    drop_layers(own, [BY])
    assert read_manifest(own).scores == {}
    assert not any(key.startswith("scores") for key in read_manifest(own).derived)


def test_damage_is_found_and_mended(own: Path) -> None:
    file = own / read_manifest(own).derived[f"scores {LAYER}"]
    whole = file.read_bytes()
    with hdf5.create_file(file, "unitscope scores", 1) as out:
        out.create_dataset("clarity", data=np.zeros(3))
    with pytest.raises(DamagedFile, match="does not hold clarity of its layer"):
        indexer.open(own)
    assert [fault.file for fault in verify(own)] == [read_manifest(own).derived[f"scores {LAYER}"]]
    repaired = repair(own)
    assert (own / repaired.derived[f"scores {LAYER}"]).read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patches": 1}, "patches must be 2 to 200, not 1"),
        ({"pool": "middle"}, "pool must be one of box, image, not 'middle'"),
        ({"by": LAYER}, "by must be another layer than features.7"),
        ({"by": "conv9"}, "the index has no layer 'conv9'; it has classifier, features.12, features.7"),
    ],
)
def test_what_cannot_be_scored_is_a_line(scored: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises((InvalidRequest, NotFound), match=message):
        work_out_scores(scored, **({"layer": LAYER, "by": BY} | changes))  # type: ignore[arg-type]


def test_commands(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scores", str(own), "--layer", LAYER, "--by", "classifier", "--patches", "5"]) == 0
    assert "features.7 by classifier: clarity" in capsys.readouterr().out
    assert main(["neurons", str(own), "--layer", LAYER, "--sort", "clarity", "--least", "0", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("neuron,maximum")
    assert {"clarity", "polysemanticity", "redundancy", "nearest"} <= set(lines[0].split(","))
    with indexer.open(own) as index:
        assert len(lines) - 1 == int((index.layer(LAYER).scored().clarity >= 0).sum())
    assert main(["neurons", str(own), "--layer", LAYER, "--sort", "clarity", "--descending", "--limit", "2"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert main(["neurons", str(own), "--layer", BY, "--sort", "clarity"]) != 0
    assert "has no scores yet; python -m indexer scores INDEX" in capsys.readouterr().err
    assert main(["neurons", str(own), "--layer", BY, "--limit", "0"]) != 0
    assert "limit must be at least 1, not 0" in capsys.readouterr().err
