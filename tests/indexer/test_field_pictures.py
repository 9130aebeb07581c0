"""Pictures of effective fields: against crops by hand from the boxes of the records."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer import pictures
from indexer.cli import main
from indexer.errors import NotFound
from indexer.exports.coco import export_patches
from indexer.exports.page import write_page
from indexer.pictures.mosaic import mosaic
from indexer.pictures.sheet import sheet
from indexer.query.index import Index
from tests.effective import LAYER, NEURON, OTHER, build_effective


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_effective(tmp_path_factory.mktemp("fields"))


@pytest.fixture(scope="module")
def index(folder: Path) -> Index:
    return indexer.open(folder)


def by_hand(index: Index, image: int, box: indexer.images.geometry.Box) -> np.ndarray:
    picture = np.asarray(index.picture(index.image(image)))
    return picture[box.top : box.bottom, box.left : box.right]


def test_a_patch_shows_the_field_that_is_asked_for(index: Index) -> None:
    for patch in index.top_patches(LAYER, NEURON, limit=4).items:
        where = patch.image, LAYER, patch.y, patch.x
        for field, box in (("exact", patch.box), ("effective", patch.effective_box)):
            shown = np.asarray(pictures.patch(index, *where, field=field))
            np.testing.assert_array_equal(shown, by_hand(index, patch.image.id, box))
        wide = pictures.patch(index, *where, field="effective", context=0.5, outlined=True)
        assert wide.width > patch.effective_box.width


def test_a_mosaic_and_a_sheet_show_squares_around_it(index: Index) -> None:
    best, *_ = index.top_patches(LAYER, NEURON, limit=1).items
    for field, box in (("exact", best.box), ("effective", best.effective_box)):
        tile = mosaic(index, LAYER, NEURON, columns=1, rows=1, size=32, field=field)
        made = sheet(index, LAYER, [NEURON], columns=1, size=32, context=0, field=field)
        side = max(box.width, box.height)
        assert made.tiles[0][0].picture.size == (32, 32)
        around = Image.fromarray(np.asarray(index.picture(best.image))).resize(
            (32, 32), Image.Resampling.BILINEAR, square_around(box, side, best.image.width, best.image.height)
        )
        assert np.abs(np.asarray(tile).astype(int) - np.asarray(around)).mean() < 2
    assert sheet(index, LAYER, [NEURON], columns=1, size=32, field="effective").title == "1, effective (sampled)"


def square_around(box: indexer.images.geometry.Box, side: int, width: int, height: int) -> tuple[int, int, int, int]:
    left = min(max((box.left + box.right - side) // 2, 0), width - side)
    top = min(max((box.top + box.bottom - side) // 2, 0), height - side)
    return left, top, left + side, top + side


def test_an_export_has_both_boxes_and_crops_of_one(index: Index, tmp_path: Path) -> None:
    patches = index.top_patches(LAYER, NEURON, limit=3, min=1e-9).items
    for field in ("exact", "effective"):
        labels = export_patches(index, LAYER, [NEURON], tmp_path / field, top=3, field=field)
        assert labels == json.loads((tmp_path / field / "labels.json").read_text())
        for box, patch in zip(labels["annotations"], patches, strict=True):
            shown = patch.box if field == "exact" else patch.effective_box
            assert box["bbox"] == bbox(patch.box)
            assert box["effective_bbox"] == bbox(patch.effective_box)
            with Image.open(tmp_path / field / box["crop"]) as crop:
                assert crop.size == (shown.width, shown.height)
    plain = export_patches(index, OTHER, [NEURON], tmp_path / "plain", top=1)
    assert "effective_bbox" not in plain["annotations"][0]


def bbox(box: indexer.images.geometry.Box) -> list[int]:
    return [box.left, box.top, box.width, box.height]


def test_a_layer_without_one_is_refused(index: Index, folder: Path, tmp_path: Path) -> None:
    best, *_ = index.top_patches(OTHER, NEURON, limit=1).items
    for draw in (
        lambda: pictures.patch(index, best.image, OTHER, best.y, best.x, field="effective"),
        lambda: mosaic(index, OTHER, NEURON, field="effective"),
        lambda: sheet(index, OTHER, [NEURON], field="effective"),
        lambda: export_patches(index, OTHER, [NEURON], tmp_path / "out", field="effective"),
        lambda: write_page(index, field="effective"),
    ):
        with pytest.raises(NotFound, match=r"layer 0 has no effective receptive field yet; .* effective-field"):
            draw()


def test_the_commands_take_a_field(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["sheet", str(folder), "--layer", LAYER, "--neurons", f"{NEURON}", "--columns", "2", "--size", "40"]
    sizes = set()
    for field in ("exact", "effective"):
        file = tmp_path / f"{field}.png"
        assert main([*asked, "--field", field, "--out", str(file)]) == 0
        sizes.add(file.read_bytes())
    assert len(sizes) == 2
    asked[3] = OTHER
    assert main([*asked, "--field", "effective", "--out", str(tmp_path / "no.png")]) == 1
    assert "has no effective receptive field yet" in capsys.readouterr().err
    export = ["export", str(folder), "--layer", LAYER, "--neurons", f"{NEURON}", "--field", "effective"]
    assert main([*export, "--out", str(tmp_path / "out")]) == 0
