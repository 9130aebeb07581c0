"""Reports, comparisons and trends over a planted network, and the commands that print them."""

import json
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.stats import pearsonr
from sklearn.metrics import roc_auc_score

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.jobs.build import build
from indexer.pictures.chart import trend_chart
from indexer.query.learning import classes, neurons
from indexer.query.learning import correlation as module
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.classes import Pair
from indexer.query.learning.compare import common_rows, compare
from indexer.query.learning.correlation import correlations
from indexer.query.learning.report import report
from indexer.query.learning.report_text import to_html, to_markdown
from indexer.query.learning.trend import SERIES, steps_in, trend, verdict
from tests.conftest import build_request, write_photos
from tests.indexer.conftest import Case
from tests.marks import seeds
from tests.planted import build_planted, write_colours


def test_report(case: Case) -> None:
    found = report(case.index)
    for layer in found["layers"]:
        states = case.index.layer(layer["layer"]).states.tolist()
        assert {state: layer[state] for state in found["states"]} == {s: states.count(s) for s in found["states"]}
        covered = classes.coverage(case.index, layer["layer"])
        assert layer["classes"]["uncovered"] == sum(not one.covered for one in covered)
        lowest = [-1 if one["own_auc"] is None else one["own_auc"] for one in layer["classes"]["least_covered"]]
        assert lowest == sorted(-1 if one.own_auc is None else one.own_auc for one in covered)
        assert all("zebra" not in (pair["a"], pair["b"]) for pair in layer["classes"]["most_alike"])
    assert found["confusion"]["accuracy"] == confusion(case.index).accuracy
    assert found["smallest_class"] == 1
    assert found["unlabelled_images"] == 3
    assert any("1 of 6 neurons (17%) are positive on no image" in sentence for sentence in found["findings"])


@pytest.mark.parametrize("each", [1, 5])
def test_a_report_on_many_classes_names_few_pairs(tmp_path: Path, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[classes.Pair] = []
    monkeypatch.setattr(classes, "Pair", lambda *values: made.append(values) or Pair(*values))
    wanted = {f"class {number:03}": ("red", each) for number in range(120 // each)}
    with indexer.open(build_planted(write_colours(tmp_path / "p", 9, wanted), tmp_path / "index")) as index:
        found = report(index)
        every = [(pair.a, pair.b, pair.likeness) for pair in classes.pairs(index, "1")]
    assert [len(layer["classes"]["most_alike"]) for layer in found["layers"]] == [0 if each == 1 else 10] * 2
    assert [tuple(pair.values()) for pair in found["layers"][0]["classes"]["most_alike"]] == every[
        : 0 if each == 1 else 10
    ]
    assert len(made) == len(every) + (0 if each == 1 else 20)


def test_report_as_text(tmp_path: Path) -> None:
    """Names are shown as they are, whatever they hold."""
    wanted = {"<b>&": ("red", 6), "a|b*": ("blue", 6)}
    with indexer.open(build_planted(write_colours(tmp_path / "p", 8, wanted), tmp_path / "index")) as index:
        found = report(index)
    page, text = to_html(found), to_markdown(found)
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;" in page
    assert "a\\|b\\*" in text
    for table in text.split("\n\n"):
        if table.startswith("|"):
            bars = {line.replace("\\|", "").count("|") for line in table.splitlines()}
            assert len(bars) == 1
    for sentence in found["findings"]:
        assert page.count("<li>") == len(found["findings"]), sentence


def test_compare(steps: list[Path]) -> None:
    with indexer.open(steps[0]) as a, indexer.open(steps[2]) as b:
        found = compare(a, b, "1")
        about = found.summary()
        assert (about["woke_up"], about["died"], about["images"]) == ([3], [0], 30)
        for side, index in (("a", a), ("b", b)):
            assert about[side]["mean_best_auc"] == pytest.approx(neurons.table(index, "1").columns["auc"].mean())
        own, other = np.array(a.layer("1").peaks, np.float64), np.array(b.layer("1").peaks, np.float64)
        for neuron in range(6):
            row = found.row(neuron)
            if np.ptp(own[neuron]) == 0:
                assert row["match"] is None
                continue
            values = [pearsonr(own[neuron], one).statistic if np.ptp(one) else -2 for one in other]
            assert row["match"]["correlation"] == pytest.approx(max(values))
            assert values[row["match"]["neuron"]] == pytest.approx(max(values))
        assert found.row(0)["match"]["neuron"] == 4
        assert found.row(3)["b"]["state"] != "dead"
        best = {n: (row["match"] or {"correlation": -2})["correlation"] for n in range(6) for row in [found.row(n)]}
        ranking = sorted(range(6), key=lambda neuron: (-best[neuron], neuron))
        assert found.ranked("correlation").tolist() == ranking
        matches = [None if best[neuron] == -2 else int(found.match[neuron]) for neuron in ranking]
        once = [n for place, n in enumerate(ranking) if matches[place] is None or matches[place] not in matches[:place]]
        assert len(once) < 6, "two neurons have one match"
        assert found.ranked("correlation", repeats=False).tolist() == once
        assert found.ranked(repeats=False).tolist() == sorted(once)
        with pytest.raises(InvalidRequest, match="sort must be one of neuron, correlation"):
            found.ranked("mean")
        assert not compare(a, b, "1", "4").same_neurons
        assert compare(a, b, "1", "4").summary()["died"] is None


def test_compare_on_the_images_in_common(tmp_path: Path, case: Case) -> None:
    """Some images are in one index only, some twice, in another order; figures are of those in common."""
    index = case.index
    root = Path(index.manifest.image_root)
    records = index.find_images(limit=100).items
    chosen = [record for record in records if record.class_ != "2"][::-2]
    for number, record in enumerate([*chosen, chosen[0]]):
        place = tmp_path / "photos" / (record.class_ or "") / f"{number:03}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes((root / record.path).read_bytes())
    with indexer.open(build_planted(tmp_path / "photos", tmp_path / "other")) as other:
        rows = common_rows(index, other)
        assert len(rows[0]) == len(chosen)
        for row, same in zip(*rows, strict=True):
            assert index.images.sha256(row) == other.images.sha256(same)
        found = compare(index, other, "1")
        assert found.summary()["images"] == len(chosen)
        codes = case.codes[rows[0]]
        names = [index.classes[k] for k in np.unique(codes[codes >= 0])]
        assert found.a.classes == found.b.classes == names
        for neuron in range(6):
            values = case.peaks["1"][neuron][rows[0]]
            for k, name in enumerate(names):
                expected = roc_auc_score(codes[codes >= 0] == index.classes.index(name), values[codes >= 0])
                assert found.a.selectivity.auc[k, neuron] == pytest.approx(expected, abs=1e-6)
                assert found.b.selectivity.auc[k, neuron] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize("block", [5, 1 << 12])
def test_correlations_are_those_of_scipy_whatever_the_blocks(
    seed: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_IMAGES", block)
    rng = np.random.default_rng(seed)
    a, b = (rng.normal(40, 3, (images, neurons)).astype(np.float32) for images, neurons in ((33, 4), (29, 5)))
    in_a, in_b = rng.permutation(33)[:21], rng.permutation(29)[:21]
    b[in_b, 1], a[in_a, 2] = a[in_a, 3], 7
    found = correlations(a, in_a, b, in_b)
    assert np.isnan(found[2]).all()
    assert found[3, 1] == pytest.approx(1)
    for neuron in (0, 1, 3):
        expected = [
            pearsonr(a[in_a, neuron].astype(float), b[in_b, other].astype(float)).statistic for other in range(5)
        ]
        np.testing.assert_allclose(found[neuron], expected, atol=1e-9)


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_images_in_common_are_found_by_their_digests(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pool = rng.integers(0, 256, (12, 32), np.uint8)
    pool[3, -1], pool[4] = 0, 0
    a, b = (SimpleNamespace(images=SimpleNamespace(digests=pool[rng.integers(0, 12, 15)])) for _ in range(2))
    bytes_a, bytes_b = ([digest.tobytes() for digest in index.images.digests] for index in (a, b))
    expected = [
        (row, bytes_b.index(digest))
        for row, digest in enumerate(bytes_a)
        if digest in bytes_b and bytes_a.index(digest) == row
    ]
    assert list(zip(*(rows.tolist() for rows in common_rows(a, b)), strict=True)) == expected


def test_nothing_to_compare(steps: list[Path], small_index: Path) -> None:
    with indexer.open(steps[0]) as a, indexer.open(small_index) as b:
        with pytest.raises(InvalidRequest, match="0 images in common"):
            compare(a, b, "1", "features.7")
        with pytest.raises(NotFound, match="it has 1, 4"):
            compare(a, b, "2")
        with pytest.raises(InvalidRequest, match="no layer in common"):
            trend([a, b])
        with pytest.raises(InvalidRequest, match="at least two"):
            trend([a])


def test_trend(steps: list[Path]) -> None:
    opened = [indexer.open(path) for path in steps]
    found = trend(opened)
    assert found["indexes"] == ["step 0", "step 1", "step 2"]
    assert [layer["layer"] for layer in found["layers"]] == ["1", "4"]
    for n, index in enumerate(opened):
        assert found["accuracy"][n] == confusion(index).accuracy
        for layer in found["layers"]:
            states = index.layer(layer["layer"]).states
            for state in ("dead", "dense", "selective"):
                assert layer[state][n] == np.mean(states == state)
            best = neurons.table(index, layer["layer"]).columns["auc"]
            assert layer["mean_best_auc"][n] == pytest.approx(best.mean())
        index.close()
    assert found["layers"][0]["dead"] == pytest.approx([1 / 6, 0, 1 / 6])
    drawn = ElementTree.fromstring(trend_chart(found))
    lines = [line.get("points", "").split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert len(lines) == 10, "four figures and the accuracy, for two layers"
    assert all(len(points) == 3 for points in lines)


def test_one_class_has_an_accuracy_in_neither_trend_nor_report(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "images", seed=1, count=3, classes=("goldfish",))
    build(tmp_path / "index", build_request(photos, layers=("classifier",)))
    with indexer.open(tmp_path / "index") as index:
        assert confusion(index).classes == ["goldfish"]
        assert report(index)["confusion"] is None
        assert trend([index, index])["accuracy"] == [None, None]


def test_chart_leaves_out_what_is_not_known() -> None:
    layer = {"layer": "a<b", "dead": [0, 0.5], "dense": [None, 1], "selective": [None, None], "mean_best_auc": [1, 1]}
    drawn = ElementTree.fromstring(
        trend_chart({"indexes": ["x" * 40, "y"], "steps": None, "accuracy": [None] * 2, "layers": [layer]})
    )
    lines = [line.get("points", "").split() for line in drawn.iter("{http://www.w3.org/2000/svg}polyline")]
    assert sorted(len(points) for points in lines) == [1, 2, 2]
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "a<b" in texts
    assert ("dense" in texts, "selective" in texts, "accuracy" in texts) == (True, False, False), "lines that are drawn"


@pytest.mark.parametrize(
    ("names", "steps"),
    [
        (["step 0", "step 1", "step 10"], [0, 1, 10]), (["a-2-x", "a-10-x"], [2, 10]), (["10", "2"], None),
        (["a1", "b2"], None), (["a", "b"], None), (["1-1", "2-2"], None), (["a1", "a1"], None), (["a1", "a1b"], None),
        (["run 01", "run 02"], [1, 2]),
    ],
)  # fmt: skip
def test_steps_are_read_from_names(names: list[str], steps: list[int] | None) -> None:
    assert steps_in(names) == steps


def test_steps_stand_at_their_distance() -> None:
    layer = {"layer": "a", **{name: [0.1, 0.2, 0.3] for name in SERIES}}
    found = {"indexes": ["s 0", "s 10", "s 100"], "steps": [0, 10, 100], "accuracy": [None] * 3, "layers": [layer]}
    line = next(ElementTree.fromstring(trend_chart(found)).iter("{http://www.w3.org/2000/svg}polyline"))
    first, second, last = (float(point.partition(",")[0]) for point in line.get("points", "").split())
    assert (second - first) / (last - first) == pytest.approx(0.1, abs=1e-3)


def test_a_verdict_says_what_changed_last() -> None:
    still = {"layer": "a", **{name: [0.5, 0.1, 0.1] for name in SERIES}}
    found = {"indexes": ["x", "y", "z"], "accuracy": [0, 0.5, 0.5], "layers": [still]}
    assert verdict(found) == ["From y to z no figure changed by 0.01 or more."]
    moved = still | {"dead": [0, 0.25, 0.125], "mean_best_auc": [None, None, None]}
    assert verdict(found | {"accuracy": [0, 0.5, 0.75], "layers": [moved]}) == [
        "From y to z: accuracy rose from 0.500 to 0.750; share of dead neurons in a fell from 0.250 to 0.125. "
        "The other 2 figures changed by less than 0.01."
    ]
    assert verdict({"indexes": ["x", "y"], "accuracy": [None, None], "layers": []}) == []


def test_commands(steps: list[Path], bare: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = str(steps[0]), str(steps[2])
    with indexer.open(first) as a, indexer.open(last) as b:
        expected, compared, over_time = report(a, 0.8), compare(a, b, "1"), trend([a, b], "4")
    assert main(["report", first, "--format", "json", "--auc", "0.8"]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert main(["report", first, "--auc", "0.8"]) == 0
    assert capsys.readouterr().out == to_markdown(expected)
    assert main(["report", first, "--format", "html", "--auc", "0.8"]) == 0
    assert capsys.readouterr().out == to_html(expected)
    assert main(["compare", first, last, "--layer", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["woke_up"], found["died"], len(found["items"])) == ([3], [0], len(compared.match))
    assert main(["compare", first, last, "--layer", "1"]) == 0
    assert "woke up: 3\ndied: 0\n" in capsys.readouterr().out
    assert main(["compare", first, last, "--layer", "1", "--layer-b", "4"]) == 0
    assert "not the same neurons" in capsys.readouterr().out
    assert main(["trend", first, last, "--layer", "4"]) == 0
    assert json.loads(capsys.readouterr().out) == over_time
    assert main(["trend", first, last, "--layer", "4", "--out", str(tmp_path / "trend.svg")]) == 0
    assert (tmp_path / "trend.svg").read_text(encoding="utf-8") == trend_chart(over_time)
    capsys.readouterr()
    assert main(["trend", first]) == 1
    assert capsys.readouterr().err == "unitscope: a trend needs at least two indexes, in order of training, not 1\n"
    assert main(["report", first, "--auc", "0.2"]) == 1
    assert "auc must be 0.5 to 1" in capsys.readouterr().err


def test_a_copy_of_an_index_matches_itself(photo_folder: Path, small_index: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", build_request(photo_folder, layers=("features.7",)))
    with indexer.open(small_index) as a, indexer.open(tmp_path / "again") as b:
        found = compare(a, b, "features.7")
    varying = found.match >= 0
    assert varying.any()
    assert found.correlation[varying] == pytest.approx(1)
    assert (found.summary()["woke_up"], found.summary()["died"]) == ([], [])
