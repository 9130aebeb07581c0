"""Finding by a part of a name, against a plain loop over all names."""

from pathlib import Path

import numpy as np
import pytest

import indexer
from indexer.derive.image_table import ImageTable
from indexer.query.finding import find, grade_of
from indexer.query.index import Index
from tests.marks import seeds

PATHS = ["birds/Photo 1.png", "birds/photo 2.png", "a/böse.png", "a/B.png", "photo/x", "b/photo photo.png", "ab", "b"]


@pytest.fixture(scope="module")
def index(small_index: Path) -> Index:
    with indexer.open(small_index) as index:
        yield index


@pytest.mark.parametrize("text", ["photo", "PHOTO 1", "b", "ab", "bb", "böse", ".png", "x", "nothing", "o", "/"])
@pytest.mark.parametrize("most", [1, 3, 100])
def test_paths_that_hold_a_text(text: str, most: int) -> None:
    table = ImageTable.__new__(ImageTable)
    table._arrays = {"path": np.array([path.encode() for path in PATHS])}
    expected = [row for row, path in enumerate(PATHS) if text.lower() in path.lower()]
    assert table.rows_with(text, most) == expected[:most]


@pytest.mark.parametrize("seed", seeds(10, 5))
def test_random_paths_that_hold_a_text(seed: int) -> None:
    """Few letters, so that texts overlap themselves, and paths of full width, which end where the next begin."""
    chance = np.random.default_rng(seed)
    for _ in range(200):
        least, width = chance.integers(1, 4), chance.integers(4, 7)
        names = ["".join(chance.choice(list("aAgG."), chance.integers(least, width))) for _ in range(12)]
        table = ImageTable.__new__(ImageTable)
        table._arrays = {"path": np.array([name.encode() for name in names])}
        text = "".join(chance.choice(list("ag."), chance.integers(1, 5)))
        most = int(chance.integers(1, 14))
        expected = [row for row, name in enumerate(names) if text in name.lower()]
        assert table.rows_with(text, most) == expected[:most], (names, text)


def test_a_match_that_ends_in_the_next_path_hides_none_in_it() -> None:
    table = ImageTable.__new__(ImageTable)
    table._arrays = {"path": np.array([b"aag.jpg", b"gg.jpgg", b"gggjpgg", b"g......"])}
    assert table.rows_with("gg", 9) == [1, 2]
    assert table.rows_with("ggg", 9) == [2]


@pytest.mark.parametrize("text", ["", "\0", "birds\0"])
def test_what_no_path_holds(index: Index, text: str) -> None:
    assert index.images.rows_with(text, 5) == []


def test_an_image_is_known_by_its_digest(index: Index) -> None:
    for row in range(len(index.images)):
        digest = index.images.sha256(row)
        first = next(other for other in range(len(index.images)) if index.images.sha256(other) == digest)
        assert index.images.id_of_digest(digest) == int(index.images.id[first])
        other = digest[:16] + "0" * 48
        assert index.images.id_of_digest(other) is None


@pytest.mark.parametrize(
    ("text", "wanted", "grade"),
    [
        ("Dogs", "dogs", "equal"), ("dogs and cats", "DOG", "start"), ("hot dogs", "dog", "word"),
        ("a/dog", "dog", "word"),
               ("endogenous", "dog", "part"), ("endo dog", "dog", "word"), ("cats", "dog", None), ("", "dog", None),
        ("Straße", "STRASSE", "equal"),
    ],
)  # fmt: skip
def test_grades(text: str, wanted: str, grade: str | None) -> None:
    assert grade_of(text, wanted) == grade


@pytest.mark.parametrize("text", ["bird", "features", "photo 00", "boats", "nothing at all"])
def test_everything_of_that_name_is_found_best_first(index: Index, text: str) -> None:
    found = find(index, text, 10_000)
    paths = [index.image(int(id_)).path for id_ in index.images.id]
    assert {one.text for one in found if one.kind == "image"} == {path for path in paths if text in path}
    assert [one.text for one in found if one.kind == "layer"] == [name for name in index.layers if text in name]
    assert [one.text for one in found if one.kind == "class"] == [name for name in index.classes if text in name]
    for one in found:
        if one.kind == "category":
            assert text in one.text.lower()
    order = ["equal", "start", "word", "part"]
    assert [order.index(one.grade) for one in found] == sorted(order.index(one.grade) for one in found)
    assert find(index, text, 3) == found[:3]
