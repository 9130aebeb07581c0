"""Lists as people have them: what is understood of one, what is said, and what is refused."""

import json
from pathlib import Path

import pytest

from indexer.errors import InvalidRequest
from indexer.images.columns import Wanted
from indexer.images.listing import ImageFile, list_images

ROWS = [("a/x 1.jpg", "cat"), ("b.jpg", "dog"), ("ü/c.jpg", "sea lion")]
EXPECTED = [ImageFile(path, class_) for path, class_ in sorted(ROWS)]


def csv_text(header: str, delimiter: str = ",", end: str = "") -> str:
    return "".join(f"{line}{end}\n" for line in [header, *(f"{p}{delimiter}{c}" for p, c in ROWS)])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", csv_text("path,label")),
        ("list.csv", csv_text("path, class")),
        ("list.csv", csv_text("File Name,Class-Name")),
        ("list.csv", csv_text(" FILENAME ;TARGET", " ; ")),
        ("list.csv", csv_text("image_path|category", "|")),
        ("list.csv", csv_text("img\tlabel", "\t")),
        ("list.tsv", csv_text("img\tlabel", "\t")),
        ("list.tsv", csv_text("img,label")),
        ("list.csv", "\ufeff" + csv_text("path,class")),
        ("list.csv", "sep=;\n" + csv_text("path;class", ";")),
        ("list.csv", "\n\n" + csv_text('"path","class"')),
        ("list.csv", csv_text("path,class,", end=",")),
        ("list.csv", csv_text("path,class").replace("\n", "\r\n")),
        ("LIST.CSV", csv_text("path,class").replace(",cat", ",  cat ")),
        ("list.jsonl", "".join(json.dumps({"file": p, "label": f" {c}"}) + "\n" for p, c in ROWS)),
        ("list.jsonl", "\ufeff" + "".join(json.dumps({"path": p, "class": c}) + "\n" for p, c in ROWS)),
        ("list.ndjson", "".join(json.dumps({" Path ": p, "Class": c}) + "\r\n" for p, c in ROWS)),
    ],
)
def test_columns_are_found_under_usual_names(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    listing = list_images(tmp_path / name)
    assert listing.files == EXPECTED
    (note,) = listing.notes
    assert "(3 classes)" in note
    assert "ignored" not in note


def test_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = pyarrow.array([0.0, None, 2.0])  # as pandas keeps whole numbers of which one is missing
    table = {"image": ["a.jpg", "b.jpg", "c.jpg"], "label": labels, "width": [1, 2, 3]}
    parquet.write_table(pyarrow.table(table), tmp_path / "list.parquet")
    listing = list_images(tmp_path / "list.parquet")
    assert listing.files == [ImageFile("a.jpg", "0"), ImageFile("b.jpg", None), ImageFile("c.jpg", "2")]
    assert "1 of 3 images without a class; ignored: 'width'" in listing.notes[0]
    names = {"path": ["a.jpg"], "class": pyarrow.array(["cat"]).dictionary_encode()}
    parquet.write_table(pyarrow.table(names), tmp_path / "list.pq")
    assert list_images(tmp_path / "list.pq").files == [ImageFile("a.jpg", "cat")]
    (tmp_path / "junk.parquet").write_bytes(b"junk")
    with pytest.raises(InvalidRequest, match="is not Parquet"):
        list_images(tmp_path / "junk.parquet")


def test_what_was_understood_is_said(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("Split;file;species\ntrain;a.jpg;cat\ntest;b.jpg;\n")
    (note,) = list_images(tmp_path / "list.csv").notes
    assert "paths from the column 'file'; NO classes: none of the other columns is known to hold them" in note
    assert "--class-column NAME" in note
    assert "ignored: 'Split', 'species'; a semicolon between the columns" in note
    listing = list_images(tmp_path / "list.csv", wanted=Wanted(class_="SPECIES"))
    assert listing.files == [ImageFile("a.jpg", "cat"), ImageFile("b.jpg", None)]
    assert "classes from 'species' (1 class); 1 of 2 images without a class; ignored: 'Split'" in listing.notes[0]


@pytest.mark.parametrize(
    ("header", "wanted", "message"),
    [
        ("path,label,category", Wanted(), "'label', 'category' could each be the class; .* --class-column NAME"),
        ("file,image,class", Wanted(), "'file', 'image' could each be the path; .* --path-column NAME"),
        ("path,class,Class", Wanted(), "'class', 'Class' could each be the class"),
        ("path,class,class", Wanted(), "2 columns are called 'class'; rename all but one"),
        ("path,class,x", Wanted(class_="y"), r"has no column 'y' \(--class-column\); it has 'path', 'class', 'x'"),
        ("a,b,c", Wanted(), r"known to hold paths \('a', 'b', 'c'\).* --path-column NAME"),
        ("path,b,c", Wanted(class_="path"), "the column 'path' cannot hold both"),
    ],
)
def test_what_cannot_be_decided_names_the_option(tmp_path: Path, header: str, wanted: Wanted, message: str) -> None:
    (tmp_path / "list.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(InvalidRequest, match=message):
        list_images(tmp_path / "list.csv", wanted=wanted)


def test_columns_that_are_named_decide(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,crop,label,category\na.jpg,b.jpg,cat,animal\n")
    wanted = Wanted("crop", "category")
    assert list_images(tmp_path / "list.csv", wanted=wanted).files == [ImageFile("b.jpg", "animal")]
    with pytest.raises(InvalidRequest, match="go with a list"):
        list_images(tmp_path, wanted=wanted)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\na, b.jpg,cat\n", 'line 2: 3 cells, but the header names 2 columns; put .*in "quotes"'),
        ('path,class\n"a.jpg,cat\nb.jpg,dog\n', "not CSV"),
        ("", "it is empty"),
    ],
)
def test_a_torn_list_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(InvalidRequest, match=message):
        list_images(tmp_path / "list.csv")


def test_absolute_paths_below_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "cat").mkdir(parents=True)
    (tmp_path / "link").symlink_to(root, target_is_directory=True)
    lines = tmp_path / "list.jsonl"

    def listed(*paths: object, **options: object) -> list[str]:
        lines.write_text("".join(json.dumps({"path": str(path)}) + "\n" for path in paths))
        return [file.path for file in list_images(lines, root, **options).files]

    through_a_link = tmp_path / "link" / "c.jpg"
    assert listed(root / "cat" / "a.jpg", "cat/b.jpg", through_a_link) == ["c.jpg", "cat/a.jpg", "cat/b.jpg"]
    with pytest.raises(InvalidRequest, match=r"line 2: cat/a\.jpg is listed already, on line 1"):
        listed(root / "cat" / "a.jpg", "cat/a.jpg")
    for outside in (tmp_path / "a.jpg", f"{root}2/a.jpg", root / ".." / "a.jpg", root):
        with pytest.raises(InvalidRequest, match=f"must be a path below the image root {root}; --image-root names"):
            listed(outside)


def test_links_are_followed_where_that_is_asked_for(tmp_path: Path) -> None:
    root, away = tmp_path / "root", tmp_path / "away"
    for folder in (root / "cat", away):
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(b"-")
    (root / "dog").symlink_to(away, target_is_directory=True)
    (root / "cat" / "up").symlink_to(root, target_is_directory=True)
    (root / "cat" / "b.png").symlink_to(away / "a.png")
    listing = list_images(root, follow_links=True)
    assert listing.files == [
        ImageFile("cat/a.png", "cat"), ImageFile("cat/b.png", "cat"), ImageFile("dog/a.png", "dog"),
    ]  # fmt: skip
    assert listing.skipped == [("cat/up", "a symbolic link back to a folder that it is in")]
    (root / "list.csv").write_text("path,class\ndog/a.png,x\n")
    assert list_images(root / "list.csv", follow_links=True).files == [ImageFile("dog/a.png", "x")]
    with pytest.raises(InvalidRequest, match=r"holds no image; dog/a\.png is a symbolic link that leaves"):
        list_images(root / "list.csv")
