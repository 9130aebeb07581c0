"""Which layer holds the network's answers is traced, and what its outputs are called can be told."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.exports.coco import export_patches
from indexer.exports.page import write_page
from indexer.index.manifest import read_manifest
from indexer.index.told_outputs import ToldOutputs
from indexer.inputs.categories import read_categories
from indexer.jobs.build import build
from indexer.pictures.sheet import sheet
from indexer.query.learning import neurons
from indexer.query.learning.answering.answers import answer_on
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.answering.outputs import matched, output_layer, outputs_of
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
    with torch.random.fork_rng():
        torch.manual_seed(3)
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
    path = built(photos, tmp_path / "index", last, "--by-order")
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
        with pytest.raises(NotFound, match=r"relabel --categories FILE gives the outputs names$"):
            outputs_of(index)
        assert answer_on(index, int(index.images.id[0])).said.answers[0].name in ("0", "1", "2")


def test_order_counts_only_if_somebody_says_so(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = built(photos, tmp_path / "index", "")
    assert "3 of 3 classes stand for no output of head: cat, dog, ship" in capsys.readouterr().out
    with indexer.open(path) as index, pytest.raises(NotFound, match="--by-order says that they are in the order"):
        outputs_of(index)
    assert main(["relabel", str(path), "--by-order"]) == 0
    assert "stand for no output" not in capsys.readouterr().out
    with indexer.open(path) as index:
        assert (outputs_of(index).matched, outputs_of(index).names) == ("order", list(NAMES))
    assert main(["relabel", str(path), "--no-by-order"]) == 0
    with indexer.open(path) as index, pytest.raises(NotFound):
        outputs_of(index)


def test_a_map_says_what_a_class_stands_for(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names, table, told = tmp_path / "names.txt", tmp_path / "map.csv", tmp_path / "map.json"
    names.write_text("ship\nfeline\nship\n")
    table.write_text("class;category\ncat;feline\nship;2\ntruck;0\n")
    path = built(photos, tmp_path / "index", "", "--categories", str(names), "--class-map", str(table))
    said = capsys.readouterr()
    assert "the class map names 1 classes that no image has: truck" in said.err
    assert "1 of 3 classes stand for no output of head: dog" in said.out
    with indexer.open(path) as index:
        found = confusion(index)
        assert (found.matched, found.classes, found.unmatched) == ("map", ["cat", "ship"], ["dog"])
        assert outputs_of(index).code.tolist() == [-1, 0, 2]
    told.write_text('{"dog": "feline"}')
    assert main(["relabel", str(path), "--class-map", str(told)]) == 0
    with indexer.open(path) as index:
        assert outputs_of(index).code.tolist() == [-1, 1, -1], "of two outputs called ship, neither is meant"
    assert main(["add", str(path)]) == 0
    assert read_manifest(path).told_outputs.classes == {"dog": "feline"}


def test_a_class_of_a_map_stands_for_nothing_else() -> None:
    told = ToldOutputs(classes={"dog": "0"})
    assert matched(["cat", "dog"], ["cat", "dog"], 2, told)[1].tolist() == [1, -1]
    assert matched(["dog", "cat"], ["x", "cat", "dog"], 3, told)[1].tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("map.csv", "class,category\ncat,lion\n", "'lion', which is neither a category nor the number of an output"),
        ("map.csv", "class,category\ncat,3\n", "the number of an output (0 to 2)"),
        ("map.csv", "class,category\ncat,ship\n", "the name of 2 categories; give the number of the one"),
        ("map.csv", "class,category\ncat,1\ndog,feline\n", "gives output 1 (feline) to both 'cat' and 'dog'"),
        ("map.csv", "class,category\ncat,1\ncat,0\n", "names the class 'cat' 2 times"),
        ("map.csv", "class,name\ncat,1\n", "has no column 'category'"),
        ("map.csv", "class,category\ncat,\n", "must be a name, or the number of an output"),
        ("map.json", "[]", "names no class"), ("map.json", "[1]", "must be one object"),
        ("map.json", "{", "is not JSON"),
        ("map.txt", "cat 1", "a class map ends in .csv"),
    ],
)  # fmt: skip
def test_a_map_that_cannot_be_right_is_refused(
    photos: Path, tmp_path: Path, name: str, content: str, message: str, capsys: pytest.CaptureFixture[str],
    named_index: Path,
) -> None:  # fmt: skip
    (tmp_path / name).write_text(content)
    before = (named_index / "manifest.json").read_bytes()
    assert main(["relabel", str(named_index), "--class-map", str(tmp_path / name)]) == 1
    assert message in capsys.readouterr().err
    assert (named_index / "manifest.json").read_bytes() == before


@pytest.fixture(scope="module")
def named_index(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    (folder / "names.txt").write_text("ship\nfeline\nship\n")
    return built(photos, folder / "index", "", "--categories", str(folder / "names.txt"))


def test_what_the_values_are_can_be_said(photos: Path, tmp_path: Path) -> None:
    path = built(photos, tmp_path / "index", "", "--output-kind", "multi-label")
    with indexer.open(path) as index:
        said = answer_on(index, int(index.images.id[0])).said
        values = torch.tensor([answer.value for answer in said.answers]).double()
        assert said.kind == "multi-label"
        assert [answer.probability for answer in said.answers] == pytest.approx(torch.sigmoid(values).tolist())
    assert main(["relabel", str(path), "--output-kind", "probabilities"]) == 0
    with indexer.open(path) as index, pytest.raises(NotFound, match="the outputs of head are not probabilities"):
        answer_on(index, int(index.images.id[0]))
    assert main(["relabel", str(path), "--output-kind", "auto"]) == 0
    with indexer.open(path) as index:
        assert answer_on(index, int(index.images.id[0])).said.kind == "logits"


@pytest.mark.parametrize(
    ("layers", "output", "kept"),
    [
        ("body", "auto", ["body", "head"]), ("body", "none", ["body"]), ("body", "head", ["body", "head"]),
        ("head,body", "auto", ["head", "body"]), ("head,body", "head", ["head", "body"]),
    ],
)  # fmt: skip
def test_the_output_is_kept_if_it_costs_little(
    photos: Path, tmp_path: Path, layers: str, output: str, kept: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--layers", layers, "--output", output]
    for _ in range(2):  # the second finds the index complete
        path = built(photos, tmp_path / "index", "", *options)
        assert [layer.name for layer in read_manifest(path).configuration.layers] == kept
    # 6 filters of 3 x 3 x 3 at 22 x 34 places; two heads of 6 x 3
    share = f"{2 * 6 * 3 / (6 * 3 * 9 * 22 * 34):.1%}"
    said = f"head, costs {share} more operations than body does, and is kept too" in capsys.readouterr().err
    assert said == (output == "auto" and layers == "body")


def test_a_dear_output_is_kept_only_if_it_is_named(photos: Path, tmp_path: Path) -> None:
    request = build_request(photos, layers=("features.3",))
    assert build(tmp_path / "index", request).output == ""
    named = replace(request, output="classifier.3")
    assert build(tmp_path / "named", named).output == "classifier.3"


@pytest.mark.parametrize(
    ("last", "output", "message"),
    [
        ("", "other", "layer 'other' does not give what the network returns; 'head' does"),
        ("softmax", "head", "a function follows the last module"), ("two", "head", "returns a tuple, not a tensor"),
        ("", "nothing", "does not give what the network returns"),
    ],
)  # fmt: skip
def test_another_layer_is_not_taken_for_the_output(
    photos: Path, tmp_path: Path, last: str, output: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError):
        built(photos, tmp_path / "index", last, "--output", output)
    assert message in capsys.readouterr().err


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


def test_a_neuron_of_the_output_has_its_categorys_name(named_index: Path, tmp_path: Path) -> None:
    with indexer.open(named_index) as index:
        rows = [neurons.table(index, layer).row(1)["category"] for layer in ("head", "other", "body")]
        assert rows == ["feline", None, None]
        alive = np.flatnonzero(~index.neuron_statistics("head")["dead"]).tolist()
        assert alive
        made = sheet(index, "head", alive, columns=2)
        names = ["ship", "feline", "ship"]
        assert [line.note.partition(", ")[0] for line in made.lines] == [names[neuron] for neuron in alive]
        labels = export_patches(index, "head", alive, tmp_path / "coco", top=2)
        assert [row["name"] for row in labels["categories"]] == [f"head/{neuron} {names[neuron]}" for neuron in alive]
        page = write_page(index, count=3, columns=1)
        assert all(f"<b>{neuron} {names[neuron]}</b>" in page for neuron in alive)


def test_without_categories_an_output_has_the_name_of_its_class(photos: Path, tmp_path: Path) -> None:
    path = built(photos, tmp_path / "index", "")
    with indexer.open(path) as index:
        assert neurons.table(index, "head").categories == [None, None, None]
    assert main(["relabel", str(path), "--by-order"]) == 0
    with indexer.open(path) as index:
        assert neurons.table(index, "head").categories == list(NAMES)
