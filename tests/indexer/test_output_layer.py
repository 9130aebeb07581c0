"""Which layer holds the network's answers is traced, and what its outputs are called can be told."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.index.manifest import read_manifest
from indexer.inputs.categories import read_categories
from indexer.jobs.build import build
from indexer.query.learning.answers import answer_on
from indexer.query.learning.confusion import confusion
from indexer.query.learning.outputs import output_layer, outputs_of
from tests.conftest import build_request, write_photos

TOLD = {"resize": (24, 36), "crop": None, "mean": 0.5, "std": 0.25}
NAMES = ("cat", "dog", "ship")


class Headed(nn.Module):
    """Two heads of equal width, of which the first is returned, behind a function where one is given."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.body, self.head, self.other = nn.Conv2d(3, 6, 3), nn.Linear(6, 3), nn.Linear(6, 3)
        self.last = last

    def forward(self, x: torch.Tensor) -> object:
        pooled = self.body(x).mean((2, 3))
        answer, other = self.head(pooled), self.other(pooled)
        if self.last == "softmax":
            return answer.softmax(1)
        if self.last == "two":
            return answer, other
        if self.last == "map":
            return answer[:, :, None, None]
        return answer


def headed(last: str = "") -> tuple[nn.Module, dict]:
    return Headed(last), TOLD


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), seed=4, count=9, classes=NAMES)


def built(photos: Path, index: Path, last: str, *options: str) -> Path:
    arguments = [
        "build", str(photos), "--out", str(index), "--model", "tests.indexer.test_output_layer:headed",
        "--model-args", f"last={json.dumps(last)}", "--layers", "body,head,other", *options,
    ]  # fmt: skip
    assert main(arguments) == 0
    return index


@pytest.mark.parametrize(("last", "output"), [("", "head"), ("map", "head"), ("softmax", ""), ("two", "")])
def test_the_output_is_the_layer_that_forward_returns(
    photos: Path, tmp_path: Path, last: str, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By width alone it would be "other", the last layer of three channels."""
    path = built(photos, tmp_path / "index", last)
    assert ("output is not among the layers" in capsys.readouterr().out) == (output == "")
    assert read_manifest(path).output == output
    with indexer.open(path) as index:
        assert output_layer(index) == (output or None)
        if output:
            assert (outputs_of(index).layer, outputs_of(index).matched) == ("head", "order")
        else:
            with pytest.raises(NotFound, match="none of the layers is what it returns"):
                outputs_of(index)


def test_an_older_index_does_not_say_it_and_is_judged_by_width(photos: Path, tmp_path: Path) -> None:
    path = built(photos, tmp_path / "index", "")
    manifest = json.loads((path / "manifest.json").read_text())
    del manifest["output"]
    (path / "manifest.json").write_text(json.dumps(manifest))
    with indexer.open(path) as index:
        assert output_layer(index) == "other"


def test_categories_are_told_at_build_or_later(photos: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.txt"
    names.write_text("ship\ncat\ntruck\n")
    path = built(photos, tmp_path / "index", "", "--categories", str(names))
    with indexer.open(path) as index:
        found = confusion(index)
        assert (found.matched, found.classes, found.unmatched) == ("name", ["cat", "ship"], ["dog"])
        best = int(index.layer("head").peaks[:, 0].argmax())
        assert answer_on(index, int(index.images.id[0])).said.answers[0].name == ["ship", "cat", "truck"][best]
    names.write_text("dog\nship\ncat\n", encoding="utf-8-sig")
    before = {file.name: file.read_bytes() for file in (path / "shards").iterdir()}
    assert main(["relabel", str(path), "--categories", str(names)]) == 0
    assert {file.name: file.read_bytes() for file in (path / "shards").iterdir()} == before
    with indexer.open(path) as index:
        assert index.manifest.categories == ["dog", "ship", "cat"]
        assert (confusion(index).matched, confusion(index).unmatched) == ("name", [])
    generation = read_manifest(path).generation
    assert main(["relabel", str(path), "--categories", str(names)]) == 0
    assert read_manifest(path).generation == generation, "nothing is new"
    assert main(["add", str(path)]) == 0
    assert read_manifest(path).categories == ["dog", "ship", "cat"]


def test_fewer_classes_than_outputs_are_not_matched_by_order(tmp_path: Path) -> None:
    photos = write_photos(tmp_path / "photos", seed=4, count=6, classes=("cat", "dog"))
    path = built(photos, tmp_path / "index", "")
    with indexer.open(path) as index:
        with pytest.raises(NotFound, match="relabel --categories FILE gives the outputs names"):
            outputs_of(index)
        assert answer_on(index, int(index.images.id[0])).said.answers[0].name in ("0", "1", "2")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cat\ndog\n", "there are 2 categories, and the network's output, layer head, has 3 channels"),
        (b"", "is empty"), (b"cat\n\ndog\n", "has no name in line 2"), (b"\xff\xfe\n", "is not a readable text"),
        (None, "is not a readable text"),
    ],
)  # fmt: skip
def test_categories_that_cannot_be_right_are_refused(
    photos: Path, tmp_path: Path, content: bytes | None, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = tmp_path / "names.txt"
    if content is not None:
        names.write_bytes(content)
    path = built(photos, tmp_path / "index", "")
    before = (path / "manifest.json").read_bytes()
    capsys.readouterr()
    assert main(["relabel", str(path), "--categories", str(names)]) == 1
    assert message in capsys.readouterr().err
    assert (path / "manifest.json").read_bytes() == before


def test_a_torchvision_network_says_which_layer_it_returns(tmp_path: Path, photos: Path) -> None:
    request = build_request(photos, layers=("features.12", "classifier"))
    assert build(tmp_path / "index", request).output == "classifier"
    with pytest.raises(InvalidRequest):
        read_categories(tmp_path)
