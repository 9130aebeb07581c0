"""The commands about why and what if: the same figures as the library's, and one line for what cannot be."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import indexer
from indexer.cli import main
from indexer.explain.edits import Edit
from indexer.explain.group import why_group
from indexer.explain.importance import importance
from indexer.explain.what_if import what_if
from indexer.explain.why import why
from indexer.query.index import Index
from tests.planted import build_planted, numbered, write_colours


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_colours(tmp_path_factory.mktemp("photos"), 7, numbered(5), noise=90)


@pytest.fixture(scope="module")
def planted(photos: Path) -> Iterator[Index]:
    with indexer.open(build_planted(photos, photos.parent / "planted index")) as index:
        yield index


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_why_says_what_the_library_says(planted: Index, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = planted.find_images(limit=1, offset=3).items[0]
    expected = why(planted, planted.network(), record.id, "1", for_="1", against="0", limit=3).as_dict()
    asked = ("--layer", "1", "--for", "1", "--against", "0", "--limit", 3, "--format", "json")
    for image in (record.id, record.path, photos / record.path):
        assert json.loads(run(capsys, "why", planted.path, image, *asked)) == expected
    text = run(capsys, "why", planted.path, record.id, *asked[:-2])
    assert f"explained is 1 less 0 = {expected['value']:.4g}, layer 1" in text
    for each in (*expected["up"], *expected["down"]):
        assert f"{each['neuron']:>8}  {each['contribution']:>+23.4g}  {each['effect']:>+22.4g}" in text


def test_why_of_a_group(planted: Index, capsys: pytest.CaptureFixture[str]) -> None:
    expected = why_group(planted, planted.network(), "1", class_="2", sample=3).as_dict()
    arguments = ("why", planted.path, "--layer", "1", "--class", "2", "--sample", 3)
    assert json.loads(run(capsys, *arguments, "--format", "json")) == expected
    assert "3 of 5 images; means and standard errors" in run(capsys, *arguments)


def test_what_if_says_what_the_library_says(planted: Index, capsys: pytest.CaptureFixture[str]) -> None:
    edits = [Edit(0), Edit(1), Edit(2, "scale", -3.0), Edit(4, "clamp", 0.25), Edit(3, "mean")]
    given = ("--silence", "0,1", "--scale", "2=-3", "--clamp", "4=0.25", "--mean", "3")
    arguments = ("what-if", planted.path, "--layer", "1", *given)
    for exact in (False, True):
        expected = what_if(planted, planted.network(), "1", edits, exact=exact).as_dict()
        more = ("--exact",) if exact else ()
        assert json.loads(run(capsys, *arguments, *more, "--format", "json")) == expected
        text = run(capsys, *arguments, *more)
        assert f"accuracy {expected['accuracy_before']:.1%} -> {expected['accuracy_after']:.1%} over the 15" in text
        assert f"{len(expected['changed'])} answers changed" in text
        assert ("kept maps are rounded" in text) != exact
        for each in expected["changed"][:20]:
            assert f"{each['path']}: {each['before_name']} -> {each['after_name']}" in text


def test_importance_says_what_the_library_says(planted: Index, capsys: pytest.CaptureFixture[str]) -> None:
    expected = importance(planted, planted.network(), "1", images=4).as_dict()
    arguments = ("importance", planted.path, "--layer", "1", "--sample", 4)
    assert json.loads(run(capsys, *arguments, "--format", "json")) == expected
    text = run(capsys, *arguments, "--limit", 2)
    assert "4 of the 15 images whose class stands for an output, from kept maps of 1" in text
    assert len(text.splitlines()) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("why", "--layer", "1"), "name one IMAGE, or a group of images with --class, --answered or both"),
        (("why", "0", "--layer", "1", "--class", "0"), "name one IMAGE, or a group"),
        (("why", "nope.png", "--layer", "1"), "nope.png is not an image's id, not a path in the index, and not a file"),
        (("why", "999", "--layer", "1"), "the index has no image 999"),
        (("why", "0", "--layer", "2"), "the index has no layer '2'; it has 1, 4"),
        (("why", "0", "--layer", "1", "--for", "7"), "layer 4 has the outputs 0 to 2, not 7"),
        (("why", "0", "--layer", "1", "--for", "2", "--against", "2"), "are both the output 2"),
        (("why", "0", "--layer", "4"), "layer 4 holds the network's outputs themselves"),
        (("why", "--class", "9", "--layer", "1"), "'9'"),
        (("why", "--class", "0", "--layer", "1", "--sample", "0"), "sample must be at least 1, not 0"),
        (("what-if", "--layer", "1", "--silence", "1,x"), "--silence takes neurons, as 3,17; 'x' is not of this form"),
        (("what-if", "--layer", "1", "--silence", "1=2"), "'1=2' is not of this form"),
        (("what-if", "--layer", "1", "--scale", "1"), "--scale takes N=X,N=X with neurons and numbers, as 5=0.5; '1'"),
        (("what-if", "--layer", "1", "--clamp", "1=nan"), "clamp needs a finite number, not nan"),
        (("what-if", "--layer", "1", "--silence", "1", "--mean", "1"), "neuron 1 is edited twice"),
        (("what-if", "--layer", "1", "--mean", "99"), "layer 1 has the neurons 0 to"),
        (("importance", "--layer", "1", "--sample", "0"), "images must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    planted: Index, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    command, *others = arguments
    assert main([command, str(planted.path), *others]) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""
