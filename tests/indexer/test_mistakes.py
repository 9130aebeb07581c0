"""Answers, mistakes and scores against plain definitions, softmax of torch and scikit-learn."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import precision_recall_fscore_support, top_k_accuracy_score

import indexer
from indexer.cli import main
from indexer.defaults import LOG_PROBABILITIES, LOGITS, MULTI_LABEL, PROBABILITIES
from indexer.errors import InvalidRequest, NotFound
from indexer.query.learning.answering.answers import answer_on, answers_of, judge
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.answering.mistakes import SORTS, mistakes
from indexer.query.learning.answering.output_kind import kind_of_values, probabilities_of
from indexer.query.learning.answering.scores import BINS, reliability, scores
from tests.indexer.conftest import Case
from tests.marks import seeds
from tests.planted import build_planted, numbered, write_colours


def softmax(values: np.ndarray) -> np.ndarray:
    return torch.from_numpy(values.astype(np.float64)).softmax(0).numpy()


def rows_of(case: Case) -> list[int]:
    """Of the images whose class, "0", "1" or "2", is the number of an output."""
    return np.flatnonzero((case.codes >= 0) & (case.codes < 3)).tolist()


def test_an_answer_is_the_ranking_of_the_outputs(case: Case) -> None:
    outputs = case.peaks["4"]
    for row, id_ in enumerate(case.index.images.id.tolist()):
        found = answer_on(case.index, id_, limit=2)
        ranking = sorted(range(len(outputs)), key=lambda k: (-outputs[k, row], k))
        assert [answer.output for answer in found.said.answers] == ranking[:2]
        assert [answer.value for answer in found.said.answers] == [outputs[k, row] for k in ranking[:2]]
        certain = softmax(outputs[:, row])
        assert [answer.probability for answer in found.said.answers] == pytest.approx([certain[k] for k in ranking[:2]])
        own = case.codes[row] if 0 <= case.codes[row] < 3 else None
        assert (found.own and found.own.output, found.rank) == (own, None if own is None else ranking.index(own) + 1)
        assert (found.said.layer, found.said.kind) == ("4", LOGITS)
    with pytest.raises(NotFound):
        answer_on(case.index, 10**6)
    with pytest.raises(InvalidRequest, match="limit must be at least 1"):
        answer_on(case.index, 0, limit=0)


@pytest.mark.parametrize("sort", SORTS)
def test_mistakes_are_the_images_off_the_diagonal(case: Case, sort: str) -> None:
    outputs, found = case.peaks["4"], mistakes(case.index, sort=sort, limit=1000)
    wrong = [row for row in rows_of(case) if outputs[:, row].argmax() != case.codes[row]]
    ids = case.index.images.id
    assert wrong, "the planted network makes mistakes"
    assert sorted(one.image.id for one in found.items) == [ids[row] for row in wrong]
    assert found.total == len(wrong) == int(confusion(case.index).matrix.sum() - np.trace(confusion(case.index).matrix))
    keys = {
        "confidence": lambda one: (-one.confidence, one.image.id), "rank": lambda one: (-one.rank, one.image.id),
        "image": lambda one: one.image.id,
    }[sort]  # fmt: skip
    assert found.items == sorted(found.items, key=keys)
    for one in found.items:
        row = int(np.flatnonzero(ids == one.image.id)[0])
        certain, own = softmax(outputs[:, row]), int(case.codes[row])
        assert one.confidence == pytest.approx(certain.max())
        assert one.own_confidence == pytest.approx(certain[own])
        assert one.rank == 1 + sum((outputs[k, row], -k) > (outputs[own, row], -own) for k in range(len(outputs)))
        assert one.answered_class == str(outputs[:, row].argmax())
    pages = [mistakes(case.index, sort=sort, limit=2, offset=offset).items for offset in range(0, len(wrong), 2)]
    assert [one for page in pages for one in page] == found.items


def test_a_cell_of_the_confusion_matrix_leads_to_its_images(case: Case) -> None:
    matrix = confusion(case.index)
    for a, class_ in enumerate(matrix.classes):
        assert mistakes(case.index, class_=class_).total == matrix.images[a] - matrix.matrix[a, a]
        for b, answered in enumerate(matrix.classes):
            total = mistakes(case.index, class_=class_, answered=answered).total
            assert total == (0 if a == b else matrix.matrix[a, b])
    assert mistakes(case.index, class_="zebra").total == 0, "it stands for no output, so no answer is wrong"
    for wrong in ({"class_": "cars"}, {"answered": "cars"}):
        with pytest.raises(NotFound, match="cars"):
            mistakes(case.index, **wrong)
    with pytest.raises(InvalidRequest, match="sort must be one of"):
        mistakes(case.index, sort="size")


def test_scores_are_those_of_scikit_learn(case: Case) -> None:
    rows = rows_of(case)
    truth, outputs = case.codes[rows], case.peaks["4"][:, rows]
    found = scores(case.index)
    precision, recall, _, images = precision_recall_fscore_support(truth, outputs.argmax(axis=0), zero_division=np.nan)
    assert [score.class_ for score in found.classes] == ["0", "1", "2"]
    for k, score in enumerate(found.classes):
        assert (score.images, score.answered) == (images[k], np.sum(outputs.argmax(axis=0) == k))
        assert score.recall == pytest.approx(recall[k])
        assert score.precision == (None if np.isnan(precision[k]) else pytest.approx(precision[k]))
    assert found.accuracy == confusion(case.index).accuracy
    assert (found.images, found.top5) == (len(rows), 1.0), "of three outputs the right one is always among five"


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_ranks_are_those_that_top_k_accuracy_counts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, own = rng.normal(size=(20, 300)).astype(np.float32), rng.integers(0, 20, 300)
    answer, rank, *_ = judge(values, own, LOGITS)
    assert np.array_equal(answer, values.argmax(axis=0))
    for k in (1, 2, 5):
        expected = top_k_accuracy_score(own, values.T, k=k, labels=range(20))
        assert (rank <= k).mean() == pytest.approx(expected)


@pytest.mark.parametrize("seed", seeds(3, 2))
def test_calibration_is_the_mean_distance_of_accuracy_and_confidence(seed: int) -> None:
    rng = np.random.default_rng(seed)
    confidence = rng.uniform(0, 1, 200)
    right = rng.uniform(size=200) < confidence**2
    bins = reliability(confidence, right)
    assert sum(row.images for row in bins) == 200
    for number, row in enumerate(bins):
        inside = [n for n, value in enumerate(confidence) if number / BINS < value <= (number + 1) / BINS]
        assert row.images == len(inside)
        assert row.confidence == (pytest.approx(np.mean(confidence[inside])) if inside else None)
        assert row.accuracy == (pytest.approx(np.mean(right[inside])) if inside else None)
    ends = reliability(np.array([0.0, 1.0]), np.array([False, True]))
    assert [row.images for row in ends] == [1] + [0] * (BINS - 2) + [1]


def test_the_calibration_error_weighs_bins_by_their_images(case: Case) -> None:
    rows = rows_of(case)
    certain = softmax(case.peaks["4"][:, rows])
    confidence, right = certain.max(axis=0), certain.argmax(axis=0) == case.codes[rows]
    number = np.minimum((confidence * BINS).astype(int), BINS - 1)
    off = [abs(right[number == k].sum() - confidence[number == k].sum()) for k in range(BINS)]
    assert scores(case.index).calibration_error == pytest.approx(sum(off) / len(rows))


def test_the_kind_of_values_is_told_from_what_they_add_up_to() -> None:
    logits = np.random.default_rng(3).normal(size=(7, 40)).astype(np.float32)
    certain = softmax(logits).astype(np.float32)
    for values, kind in ((logits, LOGITS), (certain, PROBABILITIES), (np.log(certain), LOG_PROBABILITIES)):
        assert kind_of_values(values) == kind
        np.testing.assert_allclose(probabilities_of(values, kind), softmax(logits), atol=1e-6)
    assert kind_of_values(1 / (1 + np.exp(-logits))) == LOGITS, "labels of their own do not add up to one"
    assert kind_of_values(logits[:, :0]) == LOGITS
    assert np.isfinite(probabilities_of(logits * 1e4, LOGITS)).all()
    wide = np.array([[-1e4, -3, 0, 2.5, 1e4]], np.float32)
    np.testing.assert_allclose(probabilities_of(wide, MULTI_LABEL), torch.sigmoid(torch.tensor(wide).double()))


def test_equal_outputs_are_ranked_by_number() -> None:
    values = np.float32([[1, 2], [1, 2], [0, 2]])
    answer, rank, certain, own = judge(values, np.array([1, 2]), LOGITS)
    assert (answer.tolist(), rank.tolist()) == ([0, 0], [2, 3])
    np.testing.assert_allclose(certain[1], 1 / 3)
    np.testing.assert_allclose(own[1], 1 / 3)


def test_the_command_lists_what_the_library_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = build_planted(write_colours(tmp_path / "photos", 1, numbered(8), noise=90), tmp_path / "index", {0: 0.5})
    with indexer.open(path) as index:
        found, total = mistakes(index, limit=3), mistakes(index, class_="2", answered="0").total
        accuracy = confusion(index).accuracy
    capsys.readouterr()
    assert main(["mistakes", str(path), "--limit", "3", "--format", "json"]) == 0
    assert [row["image"] for row in json.loads(capsys.readouterr().out)] == [one.image.id for one in found.items]
    assert main(["mistakes", str(path), "--limit", "3", "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["path"], row["class"], row["answered"], int(row["rank"])) for row in rows] == [
        (one.image.path, one.image.class_, one.answered, one.rank) for one in found.items
    ]
    assert main(["mistakes", str(path), "--class", "2", "--answered", "0"]) == 0
    first, second, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{accuracy:.1%} of 24 images")
    assert second == f"{total} mistakes; {total} of them:"
    assert len(lines) == total
    assert main(["mistakes", str(path), "--class", "cars"]) == 1
    assert "no class 'cars'" in capsys.readouterr().err


def test_an_index_without_its_output(small_index: Path, bare: Path) -> None:
    with indexer.open(small_index) as index:  # outputs with names, none of which is a class
        found = answer_on(index, int(index.images.id[0]))
        assert found.said.answers[0].name in index.manifest.categories
        assert (found.own, found.rank) == (None, None)
        for ask in (answers_of, mistakes, scores):
            with pytest.raises(NotFound, match="no class of the index is the name"):
                ask(index)
    with indexer.open(bare) as index:  # no names, no classes
        assert answer_on(index, int(index.images.id[0])).said.answers[0].name in ("0", "1", "2")
