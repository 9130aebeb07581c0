"""An index for other tools (COCO) and for other people (a page): what they read is what the index answers."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from torchvision.datasets import CocoDetection

import indexer
from indexer.cli import main
from indexer.errors import InvalidRequest, NotFound
from indexer.exports.coco import export_patches
from indexer.exports.page import write_page
from indexer.pictures.sheet import tile_picture
from indexer.query.index import Index
from indexer.query.learning import neurons
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.report import report
from tests.indexer.conftest import Case
from tests.planted import build_planted, write_colours

LAYER = "features.12"


@pytest.fixture(scope="module")
def chosen(index: Index) -> list[int]:
    """Two lively neurons, and one that is active on some images only."""
    share = index.neuron_statistics(LAYER)["positive_images"]
    few = np.flatnonzero((share > 0) & (share < 0.2))
    return [*np.flatnonzero(share > 0.9)[:2].tolist(), int(few[0] if len(few) else np.argmin(share))]


@pytest.fixture(scope="module")
def exported(index: Index, chosen: list[int], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exports") / "new" / "coco"
    labels = export_patches(index, LAYER, chosen, out, top=12)
    assert json.loads((out / "labels.json").read_text()) == labels
    return out


def test_boxes_are_the_top_patches(index: Index, chosen: list[int], exported: Path) -> None:
    coco = COCO(exported / "labels.json")
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == [f"{LAYER}/{n}" for n in chosen]
    for category, neuron in enumerate(chosen, 1):
        patches = [p for p in index.top_patches(LAYER, neuron, limit=12).items if p.activation > 0]
        found = coco.loadAnns(coco.getAnnIds(catIds=[category]))
        assert [box["rank"] for box in found] == list(range(1, len(patches) + 1))
        for box, patch in zip(found, patches, strict=True):
            assert box["bbox"] == [patch.box.left, patch.box.top, patch.box.width, patch.box.height]
            assert (box["image_id"], box["y"], box["x"]) == (patch.image.id, patch.y, patch.x)
            assert box["activation"] == patch.activation
            assert box["score"] == pytest.approx(patch.activation / patches[0].activation)
            image = coco.loadImgs(patch.image.id)[0]
            assert (image["path"], image["class"]) == (patch.image.path, patch.image.class_)


def test_pictures_are_the_images_and_the_crops(index: Index, exported: Path) -> None:
    """As torchvision reads them; JPEG moves pixels a little."""
    read = CocoDetection(str(exported / "data"), str(exported / "labels.json"))
    assert len(read) == len(list((exported / "data").iterdir()))
    crops = 0
    for picture, boxes in read:
        original = np.asarray(index.picture(index.image(boxes[0]["image_id"])), np.float64)
        assert np.abs(np.asarray(picture, np.float64) - original).mean() < 3
        for box in boxes:
            left, top, width, height = box["bbox"]
            with Image.open(exported / box["crop"]) as crop:
                assert crop.size == (width, height)
                cut = original[top : top + height, left : left + width]
                assert np.abs(np.asarray(crop, np.float64) - cut).mean() < 3
            crops += 1
    assert crops == len(list((exported / "crops").rglob("*.jpg")))


def test_an_export_replaces_nothing(index: Index, exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="exists; name a folder that does not"):
        export_patches(index, LAYER, [0], exported)
    with pytest.raises(InvalidRequest, match="top must be 1 or more"):
        export_patches(index, LAYER, [0], tmp_path / "none", top=0)
    with pytest.raises(InvalidRequest, match="neuron 7 is named twice"):
        export_patches(index, LAYER, [3, 7, 5, 7], tmp_path / "none")
    with pytest.raises(NotFound, match="neurons 0 to 511, not 512"):
        export_patches(index, LAYER, [512], tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


class Parsed(HTMLParser):
    """Pictures and words of a page; fails on what would need a request or a script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures: list[dict[str, str | None]] = []
        self.words: list[str] = []
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        assert tag not in {"script", "link", "iframe", "object", "form"}
        assert not any(name.startswith("on") for name in found)
        assert (found.get("href") or "#").startswith("#")
        if found.get("http-equiv") == "Content-Security-Policy":
            self.policy = found["content"] or ""
        if tag == "img":
            self.pictures.append(found)

    def handle_data(self, data: str) -> None:
        self.words += [data.strip()] if data.strip() else []


def test_the_page_shows_the_top_patches(index: Index) -> None:
    text = write_page(index, count=3, columns=4)
    page = Parsed(text)
    assert page.policy.startswith("default-src 'none'")
    assert "url(" not in text
    expected = []
    for name in index.layers:
        for neuron in neurons.worth_showing(neurons.table(index, name), 3):
            expected += [p for p in index.top_patches(name, neuron, limit=4).items if p.activation > 0]
    assert len(page.pictures) == len(expected) > 20
    for found, patch in zip(page.pictures, expected, strict=True):
        assert (found["title"], found["alt"]) == (
            patch.image.path, f"Patch of {patch.image.path}, activation {patch.activation:.3g}",
        )  # fmt: skip
        source = re.fullmatch("data:image/jpeg;base64,(.+)", found["src"] or "")
        drawn = Image.open(io.BytesIO(base64.b64decode(source[1])))
        tile = tile_picture(index.picture(patch.image), patch, 112, 0.1)
        assert drawn.size == tile.size == (int(found["width"] or 0), int(found["height"] or 0))
        assert np.abs(np.asarray(drawn, np.float64) - np.asarray(tile, np.float64)).mean() < 4


def test_the_page_says_what_the_report_says(case: Case) -> None:
    page = Parsed(write_page(case.index, count=6, columns=2))
    about = report(case.index)
    assert set(about["findings"]) <= set(page.words)
    answers = confusion(case.index)
    counts = [word for word in page.words[page.words.index("something else") :] if word.isdigit()]
    labels = [name for name in answers.classes if name.isdigit()]
    assert counts == [
        str(value) for name, row in zip(labels, answers.matrix, strict=True) for value in (name, *row[row > 0])
    ]


def test_a_page_without_classes_and_with_odd_names(bare: Path, tmp_path: Path) -> None:
    with indexer.open(bare) as index:
        page = Parsed(write_page(index, count=2, columns=2))
        assert "unknown" in page.words
        assert len(page.pictures) == 2 * 2 * 2
    odd = "<img src=x onerror=alert(1)>&'"
    photos = write_colours(tmp_path / "photos", 9, {odd: ("red", 6), "b": ("blue", 6)})
    with indexer.open(build_planted(photos, tmp_path / "index")) as index:
        page = Parsed(write_page(index, count=2, columns=2))
        assert all((found["src"] or "").startswith("data:") for found in page.pictures)
        assert any(odd in word for word in page.words)


def test_neurons_worth_showing(case: Case) -> None:
    """The best for each class first, then by AUC; dead ones never."""
    table = neurons.table(case.index, "1")
    rows = {n: table.row(n) for n in range(6) if not table.row(n)["dead"]}
    firsts = [max((n for n in rows if rows[n]["best_class"] == name), key=lambda n: (rows[n]["auc"], -n))
              for name in {row["best_class"] for row in rows.values()} - {None}]  # fmt: skip
    order = sorted(rows, key=lambda n: (n not in firsts, -rows[n]["auc"], n))
    for count in range(1, 7):
        assert neurons.worth_showing(table, count) == order[:count]


def test_commands(small_index: Path, chosen: list[int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "coco", tmp_path / "deep" / "page.html"
    common = ["export", str(small_index), "--layer", LAYER, "--top", "2", "--class", "boats"]
    assert main([*common, "--neurons", str(chosen[0]), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 2 patches of 2 images\n"
    assert {image["class"] for image in json.loads((out / "labels.json").read_text())["images"]} == {"boats"}
    assert main([*common, "--out", str(out)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["page", str(small_index), "--neurons", "1", "--columns", "2", "--out", str(page)]) == 0
    with indexer.open(small_index) as index:
        assert page.read_text(encoding="utf-8") == write_page(index, count=1, columns=2)
    assert main(["page", str(small_index), "--neurons", "0", "--out", str(page)]) == 1
    assert "neurons must be 1 to 200, not 0" in capsys.readouterr().err


def test_where_nothing_can_be_written(small_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = ["page", str(small_index), "--neurons", "1", "--columns", "1", "--out"]
    assert main([*page, str(tmp_path)]) == 1
    assert f"unitscope: {tmp_path}: Is a directory" in capsys.readouterr().err
    trend = ["trend", str(small_index), str(small_index), "--out", str(tmp_path / "none" / "a.svg")]
    assert main(trend) == 1
    assert f"unitscope: {tmp_path}/none/a.svg: No such file or directory" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_a_page_of_paths_that_are_no_utf8(tmp_path: Path) -> None:
    photos = write_colours(tmp_path / "photos", 3, {"a": ("red", 6), "b": ("blue", 6)})
    for file in photos.rglob("*.png"):
        file.rename(file.with_name("caf\udce9" + file.name))
    page = tmp_path / "page.html"
    assert main(["page", str(build_planted(photos, tmp_path / "index")), "--out", str(page)]) == 0
    assert any("caf?" in (found.get("title") or "") + (found.get("alt") or "") for found in
               Parsed(page.read_text(encoding="utf-8")).pictures)  # fmt: skip


def test_every_neuron_of_a_layer(case: Case, tmp_path: Path) -> None:
    folder = str(case.index.path)
    assert main(["export", folder, "--layer", "1", "--top", "1", "--out", str(tmp_path / "coco")]) == 0
    labels = json.loads((tmp_path / "coco" / "labels.json").read_text())
    assert [category["id"] for category in labels["categories"]] == [1, 2, 3, 4, 5, 6]
    assert {box["category_id"] for box in labels["annotations"]} == {1, 2, 3, 5, 6}, "the fourth neuron is dead"
