"""What neurons tell about classes, against scikit-learn, scipy and plain definitions."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import entropy, norm
from sklearn.metrics import roc_auc_score

import indexer
from indexer.derive.selectivity import ENTROPY_DEPTH, Selectivity, selectivity_of, wilson_bound
from indexer.query.index import Index
from tests.marks import seeds
from tests.planted import build_planted, write_colours

FLOAT32 = 1e-6


def compute(peaks: np.ndarray, classes: np.ndarray, firing_from: np.ndarray | None = None) -> Selectivity:
    return selectivity_of(peaks, np.zeros(len(peaks)) if firing_from is None else firing_from, classes)


def check(found: Selectivity, peaks: np.ndarray, classes: np.ndarray, firing_from: np.ndarray) -> None:
    """Every figure by its definition."""
    labelled = classes >= 0
    count = len(np.unique(classes[labelled]))
    for neuron, row in enumerate(peaks.astype(np.float64)):
        means = [np.mean([max(v, 0) for v in row[classes == k]]) for k in range(count)]
        for k in range(count):
            own = row[classes == k]
            assert found.means[k, neuron] == pytest.approx(own.mean(), rel=1e-6, abs=1e-6)
            fires = (own.astype(np.float16) >= firing_from[neuron]).mean()
            assert found.firing[k, neuron] == pytest.approx(fires, abs=FLOAT32)
            if count > 1:
                expected = roc_auc_score(classes[labelled] == k, row[labelled])
                assert found.auc[k, neuron] == pytest.approx(expected, abs=FLOAT32)
            else:
                assert np.isnan(found.auc[k, neuron])
        best = max(means)
        rest = (sum(means) - best) / (count - 1) if count > 1 else 0
        expected = (best - rest) / (best + rest) if count > 1 and best + rest > 0 else np.nan
        assert found.index[neuron] == pytest.approx(expected, nan_ok=True)
        top = [n for n in np.argsort(-row, kind="stable") if labelled[n]][:ENTROPY_DEPTH]
        among = classes[[n for n in top if row[n] > 0]]
        expected = entropy(np.bincount(among), base=2) if len(among) else np.nan
        assert found.entropy[neuron] == pytest.approx(expected, nan_ok=True, abs=1e-12)


@pytest.mark.parametrize("seed", seeds(5, 2))
@pytest.mark.parametrize("ties", [False, True])
def test_random_peaks(seed: int, ties: bool) -> None:
    """With a class of one image, images without a class, a dead neuron, a constant one and negative peaks."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.concatenate([rng.integers(0, 4, 230), [4], np.full(9, -1)])).astype(np.int32)
    peaks = rng.normal(0.5, 1, (12, len(classes))).astype(np.float32)
    peaks[0] = -np.abs(peaks[0])
    peaks[1], peaks[2] = 0, 3.25
    peaks[3:6] = np.maximum(peaks[3:6], 0)
    if ties:
        peaks = np.round(peaks)
    firing_from = np.full(12, 0.75)
    check(compute(peaks, classes, firing_from), peaks, classes, firing_from)


def test_one_class_and_no_class() -> None:
    peaks = np.random.default_rng(1).random((3, 20)).astype(np.float32)
    one = np.zeros(20, np.int32)
    check(compute(peaks, one), peaks, one, np.zeros(3))
    for classes in (one, np.full(20, -1, np.int32)):
        found = compute(peaks, classes)
        assert found.best.tolist() == [-1, -1, -1]
        assert np.isnan(found.best_auc).all()
        assert found.states(np.array([True, False, False])).tolist() == ["dead", "unknown", "unknown"]


def test_no_images() -> None:
    found = compute(np.empty((3, 0), np.float32), np.empty(0, np.int32))
    assert found.auc.shape == (0, 3)
    assert found.best.tolist() == [-1, -1, -1]


def test_states_by_hand() -> None:
    """Neuron 0 dead, 1 for class 0, 2 the same for all, 3 for half of the classes a little."""
    rng = np.random.default_rng(2)
    classes = np.repeat(np.arange(4, dtype=np.int32), 50)
    peaks = rng.random((4, 200)).astype(np.float32)
    peaks[0] = 0
    peaks[1] += classes == 0
    peaks[3] += 0.5 * (classes < 2)
    found = compute(peaks, classes, np.array([0.1, 1.2, 0.7, 1.2]))
    assert found.states(peaks.max(axis=1) <= 0).tolist() == ["dead", "selective", "dense", "mixed"]
    assert found.best[:2].tolist() == [-1, 0]


def test_a_class_of_few_images_makes_no_neuron_selective() -> None:
    """Its only image has the highest peak of both neurons, by chance; the best class is a larger one."""
    rng = np.random.default_rng(3)
    classes = np.array([0] + [1] * 40 + [2] * 40, np.int32)
    peaks = rng.random((2, 81)).astype(np.float32)
    peaks[:, 0] = 2
    found = compute(peaks, classes, np.full(2, 0.1))
    assert found.auc[0].tolist() == [1, 1]
    assert set(found.best.tolist()) <= {1, 2}
    assert found.best_auc == pytest.approx(found.auc[1:].max(axis=0))
    assert (found.best_at_least > found.at_least[0]).all()
    assert "selective" not in found.states(np.zeros(2, bool))


def test_only_classes_of_few_images() -> None:
    found = compute(np.array([[3, 2, 1]], np.float32), np.array([0, 1, 1], np.int32))
    assert (found.best.tolist(), found.best_auc.tolist()) == ([0], [1])


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 1])
@pytest.mark.parametrize("trials", [1, 4, 60])
def test_what_a_share_is_at_least_by_scipy(share: float, trials: int) -> None:
    """Wilson's bound is where a normal test of that share would just not be refused."""
    found = float(wilson_bound(np.array(share), np.array(trials)))
    if share == 0:
        assert found == pytest.approx(0, abs=1e-12)
    else:
        deviation = (share - found) / np.sqrt(found * (1 - found) / trials)
        assert deviation == pytest.approx(norm.ppf(0.95), abs=1e-6)


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_the_best_class_is_the_one_whose_auc_is_at_least_the_highest(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(4, dtype=np.int32), [2, 6, 40, 90])
    peaks = rng.random((9, len(classes))).astype(np.float32)
    peaks[:3] += 0.9 * (classes == rng.integers(4))
    found = compute(peaks, classes)
    for neuron in range(9):
        bounds = []
        for k, images in enumerate([2, 6, 40, 90]):
            trials = min(images, len(classes) - images)
            grid = np.linspace(1e-9, 1 - 1e-9, 200_001)  # the lowest true share that would not be refused
            kept = (found.auc[k, neuron] - grid) <= norm.ppf(0.95) * np.sqrt(grid * (1 - grid) / trials)
            bounds.append(grid[kept].min())
        assert found.at_least[:, neuron] == pytest.approx(bounds, abs=1e-5)
        assert found.best[neuron] == int(np.argmax(bounds))
        assert found.best_auc[neuron] == pytest.approx(found.auc[found.best[neuron], neuron])


@pytest.fixture(scope="module", params=[4, 5])
def real(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Three colours, a class of one picture, pictures without a class, in several shards."""
    folder = tmp_path_factory.mktemp("planted")
    classes = {"red": ("red", 14), "green": ("green", 9), "blue": ("blue", 11), "single": ("green", 1)}
    write_colours(folder / "photos", request.param, classes, unlabelled=4)
    with indexer.open(build_planted(folder / "photos", folder / "index")) as index:
        yield index


def test_derived_figures(real: Index) -> None:
    for name in ("1", "4"):
        layer = real.layer(name)
        check(layer.selectivity, np.array(layer.peaks), np.array(layer.classes), layer.firing_from(None))
    states = real.layer("1").states.tolist()
    assert states[3] == "dead"
    assert [real.classes[k] for k in real.layer("1").selectivity.best[[0, 1, 2, 4]]] == ["red", "green", "blue", "red"]


def test_photographs(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        layer = index.layer("features.12")
        rows = slice(0, 512, 37)
        found = layer.selectivity
        part = Selectivity(found.images, found.means[:, rows], found.firing[:, rows], found.auc[:, rows],
                           found.index[rows], found.entropy[rows])  # fmt: skip
        check(part, layer.peaks[rows], np.array(layer.classes), layer.firing_from(None)[rows])
