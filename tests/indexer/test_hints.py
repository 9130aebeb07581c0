"""Hints at a shortcut: their figures against slow twins."""

from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import cosine_similarity

import indexer
from indexer.query.index import Index
from indexer.query.learning.answering.scores import scores
from indexer.query.learning.shortcuts.class_parts import parts_of
from indexer.query.learning.shortcuts.hints import SELDOM_ANSWERED, hints
from indexer.query.learning.shortcuts.one_place import likeness_at, most_of_one, place_of
from tests.marks import seeds
from tests.planted import build_planted, numbered, write_colours


@pytest.mark.parametrize("seed", seeds(4, 2))
@pytest.mark.parametrize(("height", "width"), [(5, 9), (30, 24)])
def test_the_place_of_top_peaks(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, height * width, (6, 20))
    cells[2:] = (cells[2:, :1] + rng.integers(0, 3, (4, 20))) % (height * width)
    places, share = place_of(cells, height, width)
    for neuron in range(6):
        at = [divmod(cell, width) for cell in cells[neuron].tolist()]
        y, x = (int(median(part)) for part in zip(*at, strict=True))
        near = [abs(a - y) <= max(1, height / 10) and abs(b - x) <= max(1, width / 10) for a, b in at]
        assert places[neuron].tolist() == [y, x]
        assert share[neuron] == pytest.approx(sum(near) / 20)


@pytest.mark.parametrize("seed", seeds(4, 2))
def test_the_most_frequent_class_of_top_images(seed: int) -> None:
    codes = np.random.default_rng(seed).integers(-1, 4, (7, 20))
    expected = [max(Counter(row).values()) / 20 for row in codes.tolist()]
    assert most_of_one(codes).tolist() == pytest.approx(expected)


def test_likeness_of_vectors_at_peaks(index: Index) -> None:
    layer = index.layer(next(iter(index.layers)))
    rows, cells = np.arange(len(index.images)), np.asarray(layer.peak_cells[3]).astype(np.int64)
    vectors = [
        index.activation_maps(int(index.images.id[row]), layer.name).reshape(layer.info.channels, -1)[:, cells[row]]
        for row in rows
    ]
    cosines = cosine_similarity(np.array(vectors, np.float64))
    expected = [cosines[a, b] for a in range(len(rows)) for b in range(a)]
    assert likeness_at(index, layer, rows, cells) == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("seed", seeds(6, 2))
def test_parts_of_a_class(seed: int) -> None:
    rng = np.random.default_rng(seed)
    own = np.concatenate([rng.normal(0, 1, 13), rng.normal(seed, 1, 7)]).round(1).clip(0)
    others = rng.normal(0.5, 1, 40).round(1).clip(0)
    found = parts_of(own, others)
    explained = {}
    for threshold in sorted(set(own))[:-1]:
        low, high = own[own <= threshold], own[own > threshold]
        within = (len(low) * low.var() + len(high) * high.var()) / len(own)
        explained[threshold] = 1 - within / own.var()
    best = max(explained, key=explained.__getitem__)
    assert found.explained == pytest.approx(explained[best])
    assert found.threshold == best
    assert found.upper == pytest.approx(np.mean(own > best))
    low, rest = own[own <= best], others[others <= best]
    truth = np.repeat([1, 0], [len(low), len(rest)])
    assert found.lower_auc == pytest.approx(roc_auc_score(truth, np.concatenate([low, rest])))


def test_a_class_without_parts() -> None:
    assert parts_of(np.full(9, 2.0), np.array([1.0, 3.0])).explained == 0
    assert parts_of(np.array([1.0]), np.array([1.0])).explained == 0
    assert parts_of(np.array([1.0, 2.0]), np.array([3.0])).lower_auc == 1, "there are no others below the threshold"


@pytest.mark.parametrize("raised", [0.0, 40.0])
def test_a_class_that_is_seldom_answered(tmp_path: Path, raised: float) -> None:
    """The others' outputs are higher than they should be, on all images: its own ranks them as well as before."""
    photos = write_colours(tmp_path / "photos", 2, numbered(21), noise=30)
    with indexer.open(build_planted(photos, tmp_path / "index", {0: raised, 2: raised})) as index:
        recall = {one.class_: one.recall for one in scores(index).classes}["1"]
        found = [hint for hint in hints(index) if hint.kind == SELDOM_ANSWERED]
        assert [(hint.layer, hint.neuron, hint.class_) for hint in found] == ([("4", 1, "1")] if raised else [])
        assert all(f"only {recall:.0%} of its images" in hint.text for hint in found)
