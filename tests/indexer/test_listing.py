import errno
import os
from pathlib import Path

import pytest

from indexer.errors import InvalidRequest
from indexer.images.listing import ImageFile, list_images
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.pipeline.decode import Skipped, decode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    for name in (
        "dog/b.jpg", "dog/deep/a.PNG", "cat/z.webp", "top.gif", "cat/readme.txt", ".hidden/x.jpg", "cat/.y.jpg",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"-")
    return root


def test_a_folder_of_class_folders(folder: Path) -> None:
    listing = list_images(folder)
    assert listing.root == folder
    assert listing.files == [
        ImageFile("cat/z.webp", "cat"),
        ImageFile("dog/b.jpg", "dog"),
        ImageFile("dog/deep/a.PNG", "dog"),
        ImageFile("top.gif", None),
    ]
    assert listing.skipped == []


def test_links_may_not_leave_the_root(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"-")
    (folder / "dog" / "out.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "dog" / "in.jpg").symlink_to(folder / "top.gif")
    (folder / "away").symlink_to(tmp_path, target_is_directory=True)
    listing = list_images(folder)
    assert [file.path for file in listing.files if "in.jpg" in file.path] == ["dog/in.jpg"]
    assert listing.skipped == [
        (
            "away",
            "a symbolic link to a folder; such links are not followed, but a list names images below any --image-root, "
            "and --follow-links follows them",
        ),
        ("dog/out.jpg", "a symbolic link that leaves the image root; --follow-links follows it"),
    ]
    lines = tmp_path / "list.jsonl"
    lines.write_text('{"path": "dog/out.jpg"}\n{"path": "away/secret.jpg"}\n{"path": "top.gif"}\n')
    listing = list_images(lines, folder)
    assert [file.path for file in listing.files] == ["top.gif"]
    leaves = "a symbolic link that leaves the image root; --follow-links follows it"
    assert listing.skipped == [("away/secret.jpg", leaves), ("dog/out.jpg", leaves)]


def test_a_folder_of_links_says_why_it_holds_no_image(folder: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "dog").symlink_to(folder / "dog", target_is_directory=True)
    with pytest.raises(InvalidRequest, match="holds no image; dog is a symbolic link to a folder; such links are not"):
        list_images(links)


def test_a_loop_of_links_is_left_to_the_job(folder: Path) -> None:
    (folder / "dog" / "loop.jpg").symlink_to("loop.jpg")
    listing = list_images(folder)
    assert ImageFile("dog/loop.jpg", "dog") in listing.files
    skipped = decode(listing.root, 0, ImageFile("dog/loop.jpg", "dog"), Preprocessing(9, 9, mean=0, std=1), keep=False)
    assert skipped == Skipped("dog/loop.jpg", f"cannot be read ({os.strerror(errno.ELOOP)})")


def test_lists(folder: Path) -> None:
    table = folder / "list.csv"
    table.write_text("class,path\ndog,dog/b.jpg\n,top.gif\n")
    expected = [ImageFile("dog/b.jpg", "dog"), ImageFile("top.gif", None)]
    assert list_images(table).files == expected
    lines = folder / "list.jsonl"
    lines.write_text('{"path": "./top.gif"}\n\n{"path": "dog/b.jpg", "class": "dog"}\n')
    assert list_images(lines).files == expected
    assert list_images(lines, folder.parent).root == folder.parent


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "name,class\na.jpg,x\n", "'path' column, or --path-column NAME"),
        ("list.csv", "path\na.jpg\na.jpg\n", "listed already, on line 2"),
        ("list.csv", "path\n/etc/passwd\n", "below the image root"),
        ("list.jsonl", '{"path": "../a.jpg"}\n', "below the image root"),
        ("list.jsonl", '{"class": "x"}\n', "--path-column"),
        ("list.jsonl", '{"path": "a.jpg"}\n{"class": "x"}\n', "line 2: every row needs a 'path'"),
        ("list.jsonl", '{"path": "a.jpg", "class": [1]}\n', "'class' must be a name"),
        (
            "list.jsonl",
            '{"path": "a.jpg", "class": "\\ud800"}\n',
            "line 1: 'class' must be a text .*can be part of a URL",
        ),
        ("list.jsonl", '{"path": "a.jpg", "class": "a\\u0000"}\n', "part of a URL"),
        ("list.csv", "path,class\na.jpg,a\nb.jpg,..\n", "line 3: .*part of a URL, not '..'"),
        ("list.csv", "path,class\na.jpg,.\n", "part of a URL"),
        ("list.csv", f"path,class\na.jpg,{1025 * 'y'}\n", "at most 1024 characters"),
        ("list.jsonl", "path: a.jpg\n", "line 1: not JSON"),
        ("list.jsonl", "[]\n", "an object with a 'path'"),
        ("list.jsonl", '{"path": "\\ud800.jpg"}\n', "cannot be the name of a file"),
        ("list.jsonl", '{"path": "a.jpg", "class": ' + 5000 * "1" + "}\n", "line 1: not JSON"),
        ("list.jsonl", 100_000 * "[", "line 1: not JSON"),
        ("list.csv", "path\na.jpg\n" + 200_000 * "b", "line 3: not CSV"),
        ("list.csv", "path\n", "holds no image"),
        ("list.txt", "a.jpg\n", "neither a folder nor a list"),
    ],
)
def test_a_wrong_list_says_where(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidRequest, match=message):
        list_images(tmp_path / name)


@pytest.mark.parametrize(("name", "text"), [("list.csv", "path\ncafé.jpg\n"), ("list.jsonl", '{"path": "café.jpg"}')])
def test_a_list_in_another_encoding_is_refused(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(InvalidRequest, match="is not UTF-8"):
        list_images(tmp_path / name)


def test_a_root_goes_with_a_list_only(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="its own image root"):
        list_images(folder, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequest, match="holds no image"):
        list_images(tmp_path / "empty")
