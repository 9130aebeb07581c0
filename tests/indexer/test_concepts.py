"""Which neurons know this: every figure against scikit-learn and numpy."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

import indexer
from indexer.errors import InvalidRequest, NotFound
from indexer.images.geometry import Box
from indexer.jobs.build import build
from indexer.query.index import Index
from indexer.query.searching import concepts
from indexer.query.searching.concepts import Concept
from indexer.query.searching.contrast import Against
from tests.conftest import build_request, write_photos
from tests.marks import seeds

LAYER = "features.12"


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Layer "1" has a neuron that is 0 everywhere and one that is 2.5 everywhere."""
    folder = tmp_path_factory.mktemp("tied")
    photos = write_photos(folder / "photos", seed=2, count=9)
    build(folder / "index", build_request(photos, model="tests.own_models:small", layers=["1"], preprocessing={}))
    with indexer.open(folder / "index") as index:
        yield index


def areas_by_ranks(values: np.ndarray, inside: int) -> np.ndarray:
    """Areas under the ROC curves of all rows, the first columns being those inside; scikit-learn agrees on some."""
    outside = values.shape[1] - inside
    least = inside * (inside + 1) / 2
    areas = (rankdata(values, axis=1)[:, :inside].sum(axis=1) - least) / (inside * outside)
    labels = np.repeat([1, 0], [inside, outside])
    for row in range(0, len(values), 37):
        assert areas[row] == pytest.approx(roc_auc_score(labels, values[row]), abs=1e-12)
    return areas


def check(found: Concept, inside: np.ndarray, outside: np.ndarray, std: np.ndarray | None) -> None:
    """Compare with the definition; values are (C, k) and (C, n)."""
    both = np.concatenate([inside, outside], axis=1).astype(np.float64)
    areas = areas_by_ranks(both, inside.shape[1])
    gaps = inside.mean(axis=1, dtype=np.float64) - outside.mean(axis=1, dtype=np.float64)
    spread = both.std(axis=1) if std is None else std
    differences = np.divide(gaps, spread, out=np.zeros_like(gaps), where=spread > 0)
    items = found.neurons.items
    assert (found.inside, found.outside) == (inside.shape[1], outside.shape[1])
    assert sorted(item.neuron for item in items) == list(range(len(both)))
    for item in items:
        assert item.auc == pytest.approx(areas[item.neuron], abs=1e-12)
        assert item.difference == pytest.approx(differences[item.neuron], abs=1e-6)
        assert item.mean_inside == pytest.approx(inside[item.neuron].mean(dtype=np.float64), abs=1e-6)
        assert item.mean_outside == pytest.approx(outside[item.neuron].mean(dtype=np.float64), abs=1e-6)
    first, second = ("auc", "difference") if found.compared == "images" else ("difference", "auc")
    keys = [(-getattr(item, first), -getattr(item, second), item.neuron) for item in items]
    assert keys == sorted(keys)


@pytest.mark.parametrize("seed", seeds(8, 3))
def test_auc_with_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inside, outside = (rng.integers(0, 6, int(count)).astype(np.float32) for count in rng.integers(1, 30, 2))
    expected = np.mean([(a > b) + 0.5 * (a == b) for a in inside for b in outside])
    assert concepts.auc(inside, np.sort(outside)) == pytest.approx(expected, abs=1e-12)
    labels = np.repeat([1, 0], [len(inside), len(outside)])
    assert expected == pytest.approx(roc_auc_score(labels, np.concatenate([inside, outside])))


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 2), (2, 7), (3, 20), (4, 39)])
def test_indexed_images(index: Index, seed: int, count: int) -> None:
    ids = np.random.default_rng(seed).permutation([image.id for image in index.find_images(limit=100).items])
    peaks = index.layer(LAYER).peaks
    rows = [index.images.find_id(int(id)) for id in ids]
    found = concepts.of_images(index, LAYER, ids[:count].tolist() + ids[:1].tolist(), limit=1000)
    check(found, peaks[:, rows[:count]], peaks[:, rows[count:]], None)


@pytest.mark.parametrize("count", [1, 4])
def test_constant_neurons_tell_nothing(tied: Index, count: int) -> None:
    peaks = tied.layer("1").peaks
    found = concepts.of_images(tied, "1", list(range(count)), limit=10)
    check(found, peaks[:, :count], peaks[:, count:], None)
    constant = {item.neuron: item for item in found.neurons.items if item.neuron < 2}
    assert all((item.auc, item.difference) == (0.5, 0) for item in constant.values())
    assert [constant[n].mean_inside for n in (0, 1)] == [0, 2.5]


def test_a_class(index: Index) -> None:
    boats = index.images.class_code == index.classes.index("boats")
    peaks = index.layer(LAYER).peaks
    found = concepts.of_class(index, LAYER, "boats", limit=1000)
    check(found, peaks[:, boats], peaks[:, ~boats], None)
    page = concepts.of_class(index, LAYER, "boats", limit=5, offset=3).neurons
    assert (page.items, page.total) == (found.neurons.items[3:8], 512)


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 4), (2, 9)])
def test_against_some_images(index: Index, seed: int, count: int) -> None:
    """Those that are among the examples too do not count."""
    rng = np.random.default_rng(seed)
    ids = [image.id for image in index.find_images(limit=100).items]
    inside = rng.choice(len(ids), count, replace=False)
    others = rng.choice(len(ids), 12, replace=False)
    rest = [row for row in range(len(ids)) if row in others and row not in inside]
    against = Against(images=[ids[row] for row in others])
    peaks = index.layer(LAYER).peaks
    found = concepts.of_images(index, LAYER, [ids[row] for row in inside], against, limit=1000)
    check(found, peaks[:, np.sort(inside)], peaks[:, rest], None)
    found = concepts.of_peaks(index, LAYER, peaks[:, inside].T, Against(class_="boats"), limit=1000)
    check(found, peaks[:, inside], peaks[:, index.images.class_code == index.classes.index("boats")], None)


@pytest.mark.parametrize(("seed", "count"), [(0, 1), (1, 5)])
def test_the_rest_without_what_is_like_the_examples(index: Index, seed: int, count: int) -> None:
    inside = np.random.default_rng(seed).choice(40, count, replace=False)
    peaks = index.layer(LAYER).peaks
    positive = np.maximum(peaks.T, 0).astype(np.float64)
    alike = cosine_similarity(positive, positive[inside]).max(axis=1)
    others = [row for row in range(40) if row not in inside]
    unlike = float(np.sort(alike[others])[25:27].mean())
    rest = [row for row in others if alike[row] < unlike]
    ids = [int(index.images.id[row]) for row in inside]
    found = concepts.of_images(index, LAYER, ids, Against(unlike=unlike), limit=1000)
    check(found, peaks[:, np.sort(inside)], peaks[:, rest], None)
    assert (found.left_out, found.outside) == (len(others) - len(rest), len(rest))
    assert found.left_out > 0


@pytest.mark.parametrize("count", [1, 3])
def test_images_from_elsewhere(index: Index, count: int) -> None:
    rng = np.random.default_rng(count)
    peaks = index.layer(LAYER).peaks
    own = peaks[:, rng.permutation(40)[:count]] * rng.choice([0.5, 1, 1.5], (512, count)).astype(np.float32)
    check(concepts.of_peaks(index, LAYER, own.T, limit=1000), own, peaks, None)


def cells_by_hand(index: Index, layer: str, width: int, height: int, box: Box) -> np.ndarray:
    """Centres of fields on the input, moved back through the crop (96 x 128) and the resize (shorter side 110)."""
    info = index.layer(layer).info
    inside = np.zeros((info.height, info.width), bool)
    resized = (110, int(110 * width / height)) if height < width else (int(110 * height / width), 110)
    for y, x in np.ndindex(inside.shape):
        row = info.field.y.start + info.field.y.stride * y + info.field.y.size / 2
        column = info.field.x.start + info.field.x.stride * x + info.field.x.size / 2
        row += round((resized[0] - 96) / 2) if resized[0] >= 96 else -((96 - resized[0]) // 2)
        column += round((resized[1] - 128) / 2) if resized[1] >= 128 else -((128 - resized[1]) // 2)
        row, column = row * height / resized[0], column * width / resized[1]
        inside[y, x] = box.top <= row < box.bottom and box.left <= column < box.right
    return inside


@pytest.mark.parametrize("seed", seeds(10, 3))
@pytest.mark.parametrize("layer", ["features.7", "features.12"])
def test_a_box(index: Index, seed: int, layer: str) -> None:
    rng = np.random.default_rng(seed)
    image = index.find_images(limit=1, offset=seed * 3).items[0]
    left, right = sorted(rng.choice(image.width + 1, 2, replace=False).tolist())
    top, bottom = sorted(rng.choice(image.height + 1, 2, replace=False).tolist())
    box = Box(left, top, right, bottom)
    inside = cells_by_hand(index, layer, image.width, image.height, box)
    found = index.layer(layer)
    assert np.array_equal(concepts.cells_in_box(index, found, image.width, image.height, box), inside)
    maps = index.activation_maps(image.id, layer)
    if inside.any() and not inside.all():
        answer = concepts.in_box(index, layer, image.id, box, limit=1000)
        check(answer, maps[:, inside], maps[:, ~inside], found.statistics["std"])
    else:
        with pytest.raises(InvalidRequest, match="nothing to compare"):
            concepts.in_box(index, layer, image.id, box)


def test_what_cannot_be_compared_is_refused(index: Index) -> None:
    ids = [image.id for image in index.find_images(limit=100).items]
    with pytest.raises(InvalidRequest, match="no other images"):
        concepts.of_class(index, LAYER, "boats", Against(class_="boats"))
    with pytest.raises(InvalidRequest, match=r"a cosine of at least 0\.01 with an example; raise unlike"):
        concepts.of_images(index, LAYER, ids[:2], Against(unlike=0.01))
    with pytest.raises(InvalidRequest, match="not with both"):
        Against(images=[3], class_="boats")
    with pytest.raises(InvalidRequest, match=r"unlike must be above 0 and at most 1, not 1\.5"):
        Against(unlike=1.5)
    with pytest.raises(NotFound, match="no image 12345"):
        concepts.of_class(index, LAYER, "boats", Against(images=[12345]))
    with pytest.raises(InvalidRequest, match="all of the 40 images"):
        concepts.of_images(index, LAYER, ids)
    with pytest.raises(InvalidRequest, match="none of the 40 images"):
        concepts.of_images(index, LAYER, [])
    with pytest.raises(NotFound, match="no image 12345"):
        concepts.of_images(index, LAYER, [12345])
    with pytest.raises(NotFound):
        concepts.of_class(index, LAYER, "cars")
    with pytest.raises(InvalidRequest, match=r"1 x 1 cells"):
        concepts.in_box(index, "classifier", ids[0], Box(0, 0, 5, 5))
