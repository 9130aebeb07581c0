"""One lost original does not stop sheets, tiles, exports and pages: a placeholder stands for it, and it is counted."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.cli import main
from indexer.pictures.lost import placeholder
from indexer.pictures.sheet import sheet
from tests.service.conftest import Serve

LAYER = "features.12"
PAGES = (
    f"/v1/indexes/own/layers/{LAYER}/neurons/{{}}/sheet.png?columns=4",
    f"/v1/indexes/own/layers/{LAYER}/sheet.png?neurons={{}}&columns=4",
    f"/v1/indexes/own/layers/{LAYER}/neurons/{{}}/tiles.jpg?columns=2&rows=2",
)


def change(path: Path) -> None:
    Image.new("RGB", (30, 20)).save(path, "PNG")


def link_away(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def no_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


LOSSES: dict[str, Callable[[Path], None]] = {
    "removed": Path.unlink, "changed": change, "emptied": lambda path: path.write_bytes(b""), "link": link_away,
    "a folder": no_folder,
}  # fmt: skip


class Lively:
    """An index of one's own photographs, and the originals of the top patches of a neuron of it."""

    def __init__(self, index: Path, photos: Path) -> None:
        self.index, self.photos = index, photos
        with indexer.open(index, photos) as opened:
            self.neuron = int(opened.neuron_statistics(LAYER)["positive_images"].argmax())
            shown = opened.top_patches(LAYER, self.neuron, limit=4, min=1e-9).items
        assert len(shown) == 4
        self.originals = [photos / patch.image.path for patch in shown]


@pytest.fixture
def lively(own_index: Path, photo_folder: Path, tmp_path: Path) -> Lively:
    return Lively(own_index, Path(shutil.copytree(photo_folder, tmp_path / "photos")))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("loss", LOSSES)
def test_over_http_a_placeholder_stands_for_one_and_is_counted(serve: Serve, lively: Lively, loss: str) -> None:
    client = serve(lively.index, images=lively.photos)
    urls = [page.format(lively.neuron) for page in PAGES]
    whole = [client.get(url) for url in urls]
    assert not any("X-Missing-Originals" in answer.headers for answer in whole)
    LOSSES[loss](lively.originals[1])
    for url, before in zip(urls, whole, strict=True):
        after = client.get(url)
        assert (after.status_code, after.headers["X-Missing-Originals"]) == (200, "1")
        assert after.headers["Cache-Control"] == "no-cache"
        assert after.headers["ETag"] != before.headers["ETag"]
        assert client.get(url, headers={"If-None-Match": after.headers["ETag"]}).status_code == 304
        one, other = pixels(before.get_data()), pixels(after.get_data())
        assert one.shape == other.shape
        assert (one != other).any()
        assert (one == other).mean() > 0.5, "the others are as they were"


def test_the_picture_is_whole_again_once_the_original_is(serve: Serve, lively: Lively, tmp_path: Path) -> None:
    client = serve(lively.index, images=lively.photos)
    url = PAGES[0].format(lively.neuron)
    whole = client.get(url)
    moved = lively.originals[0].rename(tmp_path / "moved")
    lost = client.get(url)
    moved.rename(lively.originals[0])
    again = client.get(url, headers={"If-None-Match": lost.headers["ETag"]})
    assert (again.status_code, again.get_data()) == (200, whole.get_data())
    assert again.headers["ETag"] == whole.headers["ETag"]


def test_where_all_are_lost_the_cause_is_said(
    serve: Serve, lively: Lively, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lively.photos.rename(tmp_path / "elsewhere")
    client = serve(lively.index, images=lively.photos)
    for page in PAGES:
        assert client.get(page.format(lively.neuron)).status_code == 410
    for command in commands(lively, tmp_path):
        assert main(command) != 0
        assert "--images" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def commands(lively: Lively, out: Path) -> list[list[str]]:
    index, images = str(lively.index), ["--images", str(lively.photos)]
    neuron = ["--layer", LAYER, "--neurons", str(lively.neuron)]
    return [
        ["sheet", index, *neuron, "--columns", "4", "--out", str(out / "sheet.png"), *images],
        ["export", index, *neuron, "--top", "4", "--out", str(out / "set"), *images],
        ["page", index, "--neurons", "40", "--out", str(out / "page.html"), *images],
    ]


@pytest.mark.parametrize("lost", [1, 2])
def test_commands_make_the_rest_and_say_what_was_lost(
    lively: Lively, capsys: pytest.CaptureFixture[str], tmp_path: Path, lost: int
) -> None:
    for original in lively.originals[:lost]:
        original.unlink()
    for command in commands(lively, tmp_path):
        assert main(command) == 0
        said = capsys.readouterr().out
        assert f"{lost} of " in said
        assert all(original.name in said for original in lively.originals[:lost])
        assert "--path" in said
        assert "--images" in said
    labels = json.loads((tmp_path / "set" / "labels.json").read_text())
    missing = [image for image in labels["images"] if image.get("missing")]
    assert {image["path"] for image in missing} == {
        str(original.relative_to(lively.photos)) for original in lively.originals[:lost]
    }
    for image in labels["images"]:
        with Image.open(tmp_path / "set" / "data" / image["file_name"]) as picture:
            assert picture.size == (image["width"], image["height"])
    assert (tmp_path / "page.html").read_text().count("the original is gone or has changed") >= lost


def test_without_a_loss_nothing_is_said(lively: Lively, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for command in commands(lively, tmp_path):
        assert main(command) == 0
        assert "placeholder" not in capsys.readouterr().out


def test_a_tile_of_a_lost_original_is_as_large_as_it_would_be(lively: Lively) -> None:
    with indexer.open(lively.index, lively.photos) as opened:
        before = sheet(opened, LAYER, [lively.neuron], columns=4)
        lively.originals[2].unlink()
        after = sheet(opened, LAYER, [lively.neuron], columns=4)
    assert [tile.picture.size for tile in after.tiles[0]] == [tile.picture.size for tile in before.tiles[0]]
    shown = after.tiles[0][2].picture
    assert shown.tobytes() == placeholder(*shown.size).tobytes()
    assert [image.path for image in after.lost.images.values()] == [str(lively.originals[2].relative_to(lively.photos))]
