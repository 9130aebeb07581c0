"""What a job leaves out, and what it says of it: endings, formats, reasons, values that are almost black."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from indexer.cli import main
from indexer.errors import ImageRejected, InvalidRequest
from indexer.images import left_out, reading
from indexer.images.left_out import endings_line, none_usable
from indexer.images.listing import list_images
from tests.conftest import write_photos

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = write_photos(tmp_path / "photos", seed=3, count=3)
    image = (photos / "birds" / "photo 000.png").read_bytes()
    for name, data in (
        ("IMG_1.HEIC", HEIC), ("IMG_2.heic", HEIC), ("IMG_3.MOV", b"-"), ("birds/notes.txt", b"-"),
        ("birds/IMG_9", image), ("boats/README", b"no image"), ("boats/trailing.", image), (".hidden.heic", HEIC),
    ):  # fmt: skip
        (photos / name).write_bytes(data)
    return photos


@pytest.fixture
def without_heic(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where the extra is not installed."""
    known = tuple(name for name in reading.FORMATS if name != "HEIF")
    monkeypatch.setattr(reading, "FORMATS", known)


def test_files_are_counted_by_their_ending(folder: Path, without_heic: None) -> None:
    listing = list_images(folder)
    assert dict(listing.endings) == {".heic": 2, ".mov": 1, ".txt": 1, "": 1}
    assert {"birds/IMG_9", "boats/trailing."} <= {file.path for file in listing.files}, "they are looked into"
    line = endings_line(listing.endings)
    assert line.startswith("left out by the ending of their names: 2 .heic, 1 without an ending, 1 .mov, 1 .txt")
    assert line.endswith("to read the 2 files of HEIC, install unitscope[heic]")


def test_a_folder_of_an_iphone_says_what_it_holds(tmp_path: Path, without_heic: None) -> None:
    for number in range(3):
        (tmp_path / f"IMG_{number}.HEIC").write_bytes(HEIC)
    with pytest.raises(InvalidRequest, match=r"holds no image; left out .*: 3 \.heic; .* install unitscope\[heic\]"):
        list_images(tmp_path)
    for data in (HEIC, HEIC.replace(b"heicmif1", b"mif1heic")):  # whatever it is called
        with pytest.raises(ImageRejected, match=r"in HEIC; to read it, install unitscope\[heic\]"):
            reading.read_picture(data)


def test_heic_is_read_with_the_extra(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    (tmp_path / "a").mkdir()
    write_photos(tmp_path, seed=1, count=1, classes=("a",))
    (name,) = (tmp_path / "a").iterdir()
    picture = Image.open(name).convert("RGB")
    picture.save(tmp_path / "a" / "b.HEIC", quality=95)
    name.unlink()
    listing = list_images(tmp_path)
    assert [file.path for file in listing.files] == ["a/b.HEIC"]
    read = reading.read_picture((tmp_path / "a" / "b.HEIC").read_bytes())
    assert read.size == picture.size
    assert np.abs(np.asarray(read, float) - np.asarray(picture, float)).mean() < 8


def test_many_endings_are_summed_up() -> None:
    line = endings_line({f".x{number}": number for number in range(1, 10)})
    assert line.endswith("9 .x9, 8 .x8, 7 .x7, 6 .x6, 5 .x5, 4 .x4, 6 of 3 other endings")


def test_summary_and_info_count_them(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    index = str(tmp_path / "index")
    for name in ("IMG_1.HEIC", "IMG_2.heic"):
        (folder / name).rename(folder / f"{name}.zip")
    arguments = ["build", str(folder), "--out", index, "--model", "tests.own_models:small", "--layers", "0"]
    assert main(arguments) == 0
    assert "left out by the ending of their names: 2 .zip, 1 without an ending" in capsys.readouterr().out
    (folder / "more.zip").write_bytes(b"-")
    write_photos(folder / "new", seed=9, count=1)
    assert main(["add", index]) == 0
    assert "3 .zip" in capsys.readouterr().out
    assert main(["info", index, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["left_out_by_ending"] == {".zip": 3, ".mov": 1, ".txt": 1, "": 1}


def test_why_none_could_be_used() -> None:
    skipped = [(f"{n}.png", reason) for n, reason in enumerate("aabbbcdccc")]
    assert none_usable(skipped) == (
        "none of the 10 images could be used: 4 x c, such as 5.png; 3 x b, such as 2.png; 2 x a, such as 0.png; "
        "1 for 1 other reasons"
    )


def test_a_job_without_usable_images_says_why_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for number in range(3):
        (root / f"{number}.png").write_bytes(b"junk" if number else b"")
    (root / "list.csv").write_text("path,class\n0.png,a\n1.png,a\n2.png,b\nmissing.png,b\n")
    index = tmp_path / "new" / "index"
    arguments = ["build", str(root / "list.csv"), "--out", str(index), "--model", "tests.own_models:small"]
    assert main([*arguments, "--layers", "0"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "none of the 4 images could be used: 2 x not an image that can be read" in line
    assert "such as 1.png" in line
    assert "1 x cannot be read (No such file or directory), such as missing.png" in line
    assert not index.parent.exists()


@pytest.mark.parametrize(
    "wrong",
    [["--layers", "nothing"], ["--model", "tests.nowhere:small"], ["--crop", "99999999"], ["--max-pixels", "0"]],
)
def test_a_build_that_fails_at_once_leaves_no_folder(tmp_path: Path, wrong: list[str]) -> None:
    photos = write_photos(tmp_path / "photos", seed=3, count=1)
    for index in (tmp_path / "index", tmp_path / "deep" / "er" / "index", tmp_path / "empty"):
        arguments = ["build", str(photos), "--out", str(index), "--model", "tests.own_models:small", "--layers", "0"]
        (tmp_path / "empty").mkdir(exist_ok=True)
        assert main([*arguments, *wrong]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "photos"], "a folder that was there stays"
    assert list((tmp_path / "empty").iterdir()) == []


def test_grey_that_is_almost_black_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        Image.fromarray(rng.integers(0, 4096, (30, 40), dtype=np.uint16)).save(photos / f"{number}.png")
    arguments = ["build", str(photos), "--model", "tests.own_models:small", "--layers", "0"]
    assert main([*arguments, "--out", str(tmp_path / "dark")]) == 0
    assert "WARNING: 3 of 3 images looked at are almost black" in (err := capsys.readouterr().err)
    assert "is this grey of 12 bits? --value-range 0,4095 says so" in err
    assert main([*arguments, "--out", str(tmp_path / "light"), "--value-range", "0,4095"]) == 0
    assert "almost black" not in capsys.readouterr().err
    assert main([*arguments, "--out", str(tmp_path / "dark"), "--value-range", "0,4095"]) == 1
    assert "preprocessing.value_range: None there, [0.0, 4095.0] here" in capsys.readouterr().err
    import indexer

    with indexer.open(tmp_path / "light") as index:
        assert np.asarray(index.picture(index.image(0))).mean() > 100
    assert left_out.endings_line({}) == "left out by the ending of their names: "
