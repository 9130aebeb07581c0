"""Questions about neurons and classes, against scikit-learn, scipy and plain definitions over a planted network."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
from scipy.stats import pearsonr, zscore
from sklearn.metrics import accuracy_score, confusion_matrix, roc_auc_score
from torchvision.models import ResNet18_Weights

import indexer
from indexer.derive.scores.file import SCORES
from indexer.errors import InvalidRequest, NotFound
from indexer.index.told_outputs import ToldOutputs
from indexer.inputs.wordnet import IDS, counts_as_imagenet
from indexer.query.index import Index
from indexer.query.learning import classes, neurons
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.answering.outputs import matched
from indexer.query.learning.compare import compare
from indexer.query.learning.correlation import correlations
from indexer.query.learning.report import report
from indexer.query.learning.report_text import to_html, to_markdown
from indexer.query.learning.trend import trend
from tests.indexer.conftest import Case
from tests.planted import build_planted, write_colours


def test_correlated_neurons(case: Case) -> None:
    for layer, peaks in case.peaks.items():
        for neuron in range(len(peaks)):
            page = neurons.correlated(case.index, layer, neuron, limit=100)
            varying = [n for n in range(len(peaks)) if n != neuron and np.ptp(peaks[n]) > 0 and np.ptp(peaks[neuron])]
            expected = {n: pearsonr(peaks[neuron], peaks[n]).statistic for n in varying}
            assert dict(page.items) == pytest.approx(expected, abs=1e-9)
            assert [value for _, value in page.items] == sorted((value for _, value in page.items), reverse=True)
            assert page.total == len(expected)
    assert neurons.correlated(case.index, "1", 0, limit=1).items[0] == (4, pytest.approx(1))
    assert neurons.correlated(case.index, "1", 3).items == []


@pytest.mark.parametrize("images", [0, 1, 5])
def test_what_is_the_same_on_every_image_correlates_with_nothing(images: int) -> None:
    peaks, rows = np.repeat(np.float32([[1, -2]]), images, axis=0), np.arange(images)
    varying = np.arange(images, dtype=np.float32)[:, None]
    for other in (peaks, varying):
        found = correlations(peaks, rows, other, rows)
        assert found.shape == (2, other.shape[1])
        assert np.isnan(found).all()


def test_photographs_correlate_as_scipy_says(small_index: Path) -> None:
    with indexer.open(small_index) as index:
        peaks = np.array(index.layer("features.7").peaks, np.float64)
        for neuron in (0, 100, 255):
            for other, value in neurons.correlated(index, "features.7", neuron, limit=300).items:
                assert value == pytest.approx(pearsonr(peaks[neuron], peaks[other]).statistic, abs=1e-9)


def test_neurons_are_ranked_and_filtered(case: Case) -> None:
    table = neurons.table(case.index, "1")
    rows = [table.row(number) for number in range(6)]
    for sort in set(neurons.SORTS) - set(SCORES):  # which this layer does not have
        for descending in (False, True):
            found = [rows[n].get(sort, n) for n in table.ranked(sort, descending=descending).tolist()]
            known = [value for value in found if value is not None]
            assert known == sorted(known, reverse=descending)
            assert found[: len(known)] == known, "what is not defined comes last"
    for state in ("dead", "dense", "selective", "mixed", "unknown"):
        assert table.ranked(state=state).tolist() == [n for n, row in enumerate(rows) if row["state"] == state]
    for name in case.index.classes:
        assert table.ranked(class_=name).tolist() == [n for n, row in enumerate(rows) if row["best_class"] == name]
    assert table.ranked(state="dead", dead=False).tolist() == []
    assert rows[3]["state"] == "dead"
    assert rows[3]["selectivity"] is None


def test_wrong_questions_about_neurons(case: Case, bare: Path) -> None:
    table = neurons.table(case.index, "1")
    with pytest.raises(InvalidRequest, match="sort must be one of neuron"):
        table.ranked("size")
    with pytest.raises(InvalidRequest, match="state must be one of dead"):
        table.ranked(state="asleep")
    with pytest.raises(NotFound, match="no class 'cars'"):
        table.ranked(class_="cars")
    with indexer.open(bare) as index:
        found = neurons.table(index, "1")
        assert found.ranked(state="dead").tolist() == [3]
        assert found.row(0)["state"] == "unknown"
        assert neurons.correlated(index, "1", 0, limit=1).items[0][0] == 4
        with pytest.raises(InvalidRequest, match="at least 2 classes; this index has none"):
            found.ranked(state="dense")


def auc_of(case: Case, layer: str) -> np.ndarray:
    """(K, C) by scikit-learn."""
    known = case.codes >= 0
    return np.array([[roc_auc_score(case.codes[known] == k, row[known]) for row in case.peaks[layer]]
                     for k in range(len(case.index.classes))])  # fmt: skip


def own_neurons(case: Case, layer: str, auc: np.ndarray, k: int) -> list[int]:
    """By the definition: the class's answer; else the neurons whose best class it is; of a tiny class all of them."""
    name, images = case.index.classes[k], [int(np.sum(case.codes == other)) for other in range(len(auc))]
    if layer == "4" and name.isdigit():
        return [int(name)]
    large = [other for other, count in enumerate(images) if count >= 5]
    if k not in large:
        return list(range(auc.shape[1]))
    return [n for n in range(auc.shape[1])
            if np.ptp(case.peaks[layer][n]) > 0 and max(large, key=lambda other: auc[other, n]) == k]  # fmt: skip


@pytest.mark.parametrize("layer", ["1", "4"])
@pytest.mark.parametrize("level", [0.5, 0.9, 1.0])
def test_coverage(case: Case, layer: str, level: float) -> None:
    auc = auc_of(case, layer)
    for k, found in enumerate(classes.coverage(case.index, layer, level)):
        assert (found.class_, found.images) == (case.index.classes[k], np.sum(case.codes == k))
        assert found.neurons_above == np.sum(auc[k] >= level - 1e-9)
        own = own_neurons(case, layer, auc, k)
        assert found.own_auc == (pytest.approx(max(auc[k][own]), abs=1e-6) if own else None)
        assert found.own_neuron in own if own else found.own_neuron is None
        assert found.covered == any(auc[k][n] >= level - 1e-9 for n in own)
        assert found.best_auc == pytest.approx(auc[k].max(), abs=1e-6)
        best = classes.best_neurons(case.index, layer, found.class_, limit=100)
        assert [one.auc for one in best] == pytest.approx(sorted(auc[k], reverse=True), abs=1e-6)
        assert best[0].neuron == found.best_neuron
        for one in best:
            mean = case.peaks[layer][one.neuron][case.codes == k].mean()
            assert one.mean == pytest.approx(mean, rel=1e-6, abs=1e-6)


def test_a_class_is_judged_by_its_own_answer(tmp_path: Path) -> None:
    """The network answers red pictures with green's neuron and the other way round; other neurons do not make up."""
    wanted = {"red": ("red", 9), "green": ("green", 9), "blue": ("blue", 9)}
    photos = write_colours(tmp_path / "photos", 2, wanted, noise=10)
    with indexer.open(build_planted(photos, tmp_path / "index")) as index:
        index.manifest.categories[:] = ["green", "red", "blue"]
        found = {one.class_: one for one in classes.coverage(index, "4")}
        assert [(found[name].own_neuron, found[name].best_neuron) for name in wanted] == [(1, 0), (0, 1), (2, 2)]
        assert {name: one.covered for name, one in found.items()} == {"red": False, "green": False, "blue": True}
        assert found["red"].best_auc == found["green"].best_auc == 1
        assert {one["class"] for one in report(index)["layers"][1]["classes"]["least_covered"][:2]} == {"red", "green"}
        assert all(one.covered for one in classes.coverage(index, "1")), "the layer below tells them apart"


@pytest.mark.parametrize("layer", ["1", "4"])
def test_likeness(case: Case, layer: str) -> None:
    count = len(case.index.classes)
    means = np.array([case.peaks[layer][:, case.codes == k].mean(axis=1) for k in range(count)])
    scores = zscore(means[:, np.ptp(means, axis=0) > 0], axis=0)
    expected = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in scores] for a in scores]
    found = classes.likeness(case.index, layer)
    np.testing.assert_allclose(found, expected, atol=1e-4)  # profiles are kept as float32
    listed = classes.pairs(case.index, layer)
    assert len(listed) == count * (count - 1) // 2
    assert [pair.likeness for pair in listed] == sorted((pair.likeness for pair in listed), reverse=True)
    names = case.index.classes
    assert all(pair.likeness == found[names.index(pair.a), names.index(pair.b)] for pair in listed)
    large = {name for name in names if name != "zebra"}
    for limit in (0, 1, 2, 100):
        assert classes.pairs(case.index, layer, limit) == listed[:limit]
        expected = [pair for pair in listed if {pair.a, pair.b} <= large][:limit]
        assert classes.pairs(case.index, layer, limit, at_least=2) == expected
    assert classes.pairs(case.index, layer, at_least=1000) == []
    for name in names:
        like = classes.like(case.index, layer, name)
        assert {pair.b for pair in like} == set(names) - {name}
        assert [pair.likeness for pair in like] == sorted((pair.likeness for pair in like), reverse=True)


def test_what_two_classes_share_and_what_tells_them_apart(case: Case) -> None:
    auc = auc_of(case, "1")
    names = case.index.classes
    for a, b in (("0", "1"), ("2", "0"), ("1", "zebra")):
        both = np.isin(case.codes, [names.index(a), names.index(b)])
        of_a = case.codes[both] == names.index(a)
        expected = [roc_auc_score(of_a, row[both]) for row in case.peaks["1"]]
        found = classes.contrast(case.index, "1", a, b)
        assert {one.neuron: one.auc for one in found} == pytest.approx(dict(enumerate(expected)))
        distances = [abs(one.auc - 0.5) for one in found]
        assert distances == sorted(distances, reverse=True)
        shared = classes.shared(case.index, "1", a, b)
        assert [min(pair) for _, *pair in shared] == sorted((min(pair) for _, *pair in shared), reverse=True)
        for neuron, *pair in shared:
            assert pair == pytest.approx(auc[[names.index(a), names.index(b)], neuron], abs=1e-6)
    with pytest.raises(InvalidRequest, match="two classes, not '0' twice"):
        classes.contrast(case.index, "1", "0", "0")


def test_confusion(case: Case) -> None:
    """Class "zebra" stands for no output."""
    found = confusion(case.index)
    assert (found.layer, found.matched, found.classes, found.unmatched) == ("4", "number", ["0", "1", "2"], ["zebra"])
    rows = (case.codes >= 0) & (case.codes < 3)
    answers = case.peaks["4"].argmax(axis=0)[rows]
    np.testing.assert_array_equal(found.matrix, confusion_matrix(case.codes[rows], answers))
    assert found.accuracy == pytest.approx(accuracy_score(case.codes[rows], answers))
    assert found.elsewhere.tolist() == [0, 0, 0]
    wrong = {(str(a), str(b)): found.matrix[a, b] for a in range(3) for b in range(3) if a != b and found.matrix[a, b]}
    confused = found.confused()
    assert {(row.class_, row.answered): row.images for row in confused} == wrong
    assert all(row.share == row.images / found.images[int(row.class_)] for row in confused)
    order = [(row.images, row.share) for row in confused]
    assert order == sorted(order, reverse=True)
    assert [found.confused(limit) for limit in (0, 1, 2, 9)] == [confused[:limit] for limit in (0, 1, 2, 9)]


@pytest.mark.parametrize(
    ("categories", "names", "way", "left"),
    [
        (["Red", "green", "BLUE"], ["blue", "green", "red"], "name", []),
        (["red", "green", "red"], ["green", "red", "yellow"], "name", ["red", "yellow"]),
        (["x", "y", "z"], ["0", "2", "7"], "number", ["7"]),
        ([], ["blue", "green", "red"], "order", []),
    ],
)
def test_classes_are_matched_with_outputs(
    tmp_path: Path, categories: list[str], names: list[str], way: str, left: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_colours(
        tmp_path / "photos", 5, dict(zip(names, [("red", 4), ("green", 4), ("blue", 4)], strict=True))
    )
    with indexer.open(build_planted(photos, tmp_path / "index")) as index:
        index.manifest.categories[:] = categories
        told = ToldOutputs(by_order=way == "order")
        monkeypatch.setattr(index, "manifest", replace(index.manifest, told_outputs=told))
        found = confusion(index)
        assert (found.matched, found.unmatched) == (way, left)
        answers = np.array(index.layer("4").peaks).argmax(axis=0)
        meaning = {
            "name": [category.lower() for category in categories], "number": ["0", "1", "2"], "order": sorted(names),
        }[way]  # fmt: skip
        for k, name in enumerate(found.classes):
            own = answers[index.images.class_code == index.classes.index(name)]
            said = [meaning[answer] for answer in own]
            assert found.matrix[k].tolist() == [said.count(other) for other in found.classes]
            assert found.elsewhere[k] == sum(one not in found.classes for one in said)
            assert found.images[k] == len(own)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (["n01440764", "n01443537_goldfish"], {0: 0, 1: 1}),
        (["n01440764", "great white shark"], {0: 0, 2: 1}),
        (["n02012849_crane", "n03126707_crane"], {134: 0, 517: 1}),  # the bird and the machine
        (["crane", "tench"], {0: 1, 517: 0}),
        (["n01440764", "n01440764_tench"], {}),
        (["n99999999_tench", "goldfish"], {0: 0, 1: 1}),
        (["n01440764x", "x_n01443537"], {}),
    ],
)
def test_folders_of_imagenet_stand_for_outputs(classes: list[str], expected: dict[int, int]) -> None:
    categories = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    found = matched(classes, categories, 1000)[1]
    assert {int(output): int(found[output]) for output in np.flatnonzero(found >= 0)} == expected


def test_wordnet_ids_without_imagenets_categories() -> None:
    """There the ids say nothing, and the names behind them are what counts."""
    way, found = matched(["n01440764_red", "n01443537", "blue"], ["blue", "green", "red"], 3)
    assert (way, found.tolist()) == ("wordnet", [2, -1, 0])


def test_wordnet_ids_are_those_that_timm_knows() -> None:
    path = Path(timm.__file__).parent / "data" / "_info" / "imagenet_synsets.txt"
    assert list(IDS) == path.read_text().split()
    assert counts_as_imagenet(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


def test_no_output_and_no_match(small_index: Path, tmp_path: Path) -> None:
    with indexer.open(small_index) as index, pytest.raises(NotFound, match="no class of the index is the name"):
        confusion(index)  # 1000 categories, "birds" and "boats" are none of them
    photos = write_colours(tmp_path / "photos", 6, {"a": ("red", 2), "b": ("blue", 2)})
    with indexer.open(build_planted(photos, tmp_path / "index")) as index:
        with pytest.raises(NotFound, match="number of an output of 4; relabel --categories"):
            confusion(index)  # three outputs, two classes, no categories
        assert report(index)["confusion"] is None


CLASS_QUESTIONS: list[Callable[[Index], object]] = [
    lambda index: classes.coverage(index, "1"), lambda index: classes.likeness(index, "1"),
    lambda index: classes.pairs(index, "1"), lambda index: neurons.table(index, "1").ranked(state="selective"),
]  # fmt: skip


def test_one_class_only(tmp_path: Path) -> None:
    photos = write_colours(tmp_path / "photos", 7, {"red": ("red", 6)})
    with indexer.open(build_planted(photos, tmp_path / "index")) as index:
        for question in CLASS_QUESTIONS:
            with pytest.raises(InvalidRequest, match="at least 2 classes; this index has only 'red'"):
                question(index)
        found = report(index)
        assert found["layers"][0]["classes"] is None
        assert found["layers"][0]["dead"] == 1
        json.dumps(found, allow_nan=False)


def test_no_classes(bare: Path) -> None:
    with indexer.open(bare) as index:
        for question in CLASS_QUESTIONS:
            with pytest.raises(InvalidRequest, match="at least 2 classes; this index has none"):
                question(index)
        found = report(index)
        assert any("no two classes" in sentence for sentence in found["findings"])
        for text in (to_markdown(found), to_html(found), json.dumps(found, allow_nan=False)):
            assert "bare" in text
        assert compare(index, index, "1").summary()["a"]["dead"] == 1
        assert trend([index, index])["layers"][0]["selective"] == [None, None]


@pytest.mark.parametrize("depth", [3, 1000])
def test_images_on_which_a_neuron_is_not_positive_are_none_of_its_top_images(case: Case, depth: int) -> None:
    index, fewer = case.index, 0
    for layer in index.layers:
        for neuron in range(index.layer(layer).info.channels):
            tops = index.top_patches(layer, neuron, limit=depth).items
            found = [patch.image.class_ for patch in tops if patch.activation > 0]
            fewer += 0 < len(found) < len(tops)
            expected = {name: found.count(name) / len(found) for name in set(found) - {None}}
            assert dict(index.top_classes(layer, neuron, depth)) == expected
    assert fewer or depth == 3
    assert index.top_classes("1", 3) == [], "it is dead"
