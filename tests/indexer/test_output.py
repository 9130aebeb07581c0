"""What the commands print where printing is hard: names that are not UTF-8, closed pipes, full disks, warnings."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import indexer
from indexer.cli import main
from indexer.commands.console.failures import system_line
from indexer.derive.image_table import ImageTable
from indexer.derive.nearest.vectors import read_vectors
from indexer.index.manifest import read_manifest
from indexer.jobs.build import build
from tests.conftest import build_request, write_photos

CAFE = os.fsdecode(b"caf\xe9")
ARGUMENTS = ["--model", "tests.own_models:small", "--layers", "0,5"]


def run(*arguments: str, program: str = "indexer", **options: object) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONIOENCODING": "ascii:strict", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", program, *arguments]
    return subprocess.run(command, **({"capture_output": True, "env": environment} | options))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name, class and files are not UTF-8, and an index in it."""
    folder = tmp_path_factory.mktemp("odd") / CAFE
    photos = write_photos(folder / "photos", seed=5, count=5, classes=(CAFE, "boats"))
    (photos / CAFE / os.fsdecode(b"bad\xff.png")).write_bytes(b"x")
    (photos / CAFE / os.fsdecode(b"link\xff.png")).symlink_to("/etc/hostname")
    build(folder / "index", build_request(photos, model="tests.own_models:small", layers=("0", "5"), preprocessing={}))
    return folder


def test_names_that_are_not_utf8_are_answered(odd: Path) -> None:
    manifest = read_manifest(odd / "index")
    assert manifest.image_root == str(odd / "photos")
    with indexer.open(odd / "index") as index:
        assert len(index.find_images(limit=9, class_=CAFE).items) == 3
        assert len(index.find_images(limit=9, class_="caf\ufffd").items) == 3, "as it comes back through a URL"
        assert index.nearest("0", np.ones(6), limit=3).items
    assert ImageTable(odd / "index", manifest.derived["images"]).classes == ["boats", CAFE]
    file = odd / "index" / manifest.derived["vectors 0"]
    assert read_vectors(file, None).ntotal > 0


@pytest.mark.parametrize(
    "command",
    [["info", "{index}"], ["info", "{index}", "--skipped"], ["verify", "{index}"], ["info", "{index}", "--json"]],
)
def test_names_that_are_not_utf8_are_printed(odd: Path, command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([part.format(index=odd / "index") for part in command]) == 0
    assert capsys.readouterr().err == ""


def test_everything_else_is_done_with_names_that_are_not_utf8(odd: Path, tmp_path: Path) -> None:
    """Pictures, exports and changes of an index."""
    index = tmp_path / CAFE / "copy"
    shutil.copytree(odd / "index", index)
    photos = odd / "photos"
    for command in (
        ["sheet", "--layer", "0", "--neurons", "0,1", "--class", CAFE, "--out", str(tmp_path / CAFE / "sheet.png")],
        ["sheet", "--layer", "0", "--neurons", "0,1", "--out", str(tmp_path / "sheet.svg")],
        ["export", "--layer", "0", "--top", "2", "--out", str(tmp_path / CAFE / "export")],
        ["export-activations", "--layer", "0", "--out", str(tmp_path / CAFE / "activations")],
        ["page", "--out", str(tmp_path / CAFE / "page.html")],
        *(["neurons", "--layer", "0", "--format", form] for form in ("text", "json", "csv")),
        ["describe", "--layer", "0", "--out", str(tmp_path / CAFE / "names.jsonl")],
        ["pack", str(tmp_path / CAFE / "packed.tar")],
        ["report"], ["report", "--format", "json"], ["report", "--format", "html"],
        ["add"], ["relabel"], ["verify", "--repair"], ["remove", "--class", CAFE], ["compact"], ["verify"],
    ):  # fmt: skip
        assert main([command[0], str(index), *command[1:]]) == 0, command
    labels = json.loads((tmp_path / CAFE / "export" / "labels.json").read_bytes())
    assert len(labels["images"]) == len(list((tmp_path / CAFE / "export" / "data").iterdir())) > 0
    with (tmp_path / CAFE / "activations" / "images.csv").open("rb") as table:
        paths = [line.split(b",")[1] for line in table.read().splitlines()[1:]]
    with indexer.open(odd / "index") as whole:
        assert paths == [os.fsencode(image.path) for image in whole.find_images(limit=9).items]
    assert sum(path.startswith(os.fsencode(CAFE)) for path in paths) == 3
    with indexer.open(index) as remaining:
        assert [image.class_ for image in remaining.find_images(limit=9).items] == ["boats", "boats"]
    assert len([*(photos / CAFE).iterdir()]) == 5


@pytest.mark.slow
def test_a_summary_in_ascii(odd: Path) -> None:
    done = run("build", str(odd / "photos"), "--out", str(odd / "index"), *ARGUMENTS)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert b"skipped caf\\udce9/bad\\udcff.png: not an image" in done.stdout
    done = run("build", str(odd), "--out", str(odd / "index"), *ARGUMENTS)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert b"caf\\udce9" in done.stderr


@pytest.mark.parametrize("program", ["indexer", "unitscope"])
@pytest.mark.parametrize("output", ["/dev/full", "closed"])
def test_output_that_nobody_takes(odd: Path, output: str, program: str) -> None:
    command = ["info", str(odd / "index"), "--skipped"]
    if output == "closed":
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as stdout:
            done = run(*command, program=program, capture_output=False, stdout=stdout, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (141, b"")
    else:
        with open(output, "wb") as stdout:
            done = run(*command, program=program, capture_output=False, stdout=stdout, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (1, b"unitscope: standard output: No space left on device\n")


@pytest.mark.slow
def test_a_job_goes_on_where_standard_error_is_closed(odd: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "wb") as stderr:
        done = run("build", str(odd / "photos"), "--out", str(tmp_path / "index"), *ARGUMENTS,
                   capture_output=False, stdout=subprocess.PIPE, stderr=stderr)  # fmt: skip
    assert (done.returncode, read_manifest(tmp_path / "index").images) == (0, 5)


def limit_files(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_file_that_may_not_grow_is_a_line(odd: Path, tmp_path: Path) -> None:
    """As a full disk is: the same libraries meet the same refusal."""
    arguments = ["build", str(odd / "photos"), "--out", str(tmp_path / "index"), *ARGUMENTS]
    for size, file in ((8192, b"shards/000000.h5"), (25_000, b"derived/000001/")):
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}  # for all: cut files would stay
        done = run(*arguments, preexec_fn=limit_files(size), env=environment)
        *_, line = done.stderr.splitlines()
        assert (done.returncode, b"Traceback" in done.stderr) == (1, False), done.stderr.decode()
        assert line.startswith(b"unitscope: " + str(tmp_path / "index").encode() + b"/" + file)
        assert b".partial" not in line
        assert b": File too large; a file may not become that large there (ulimit -f), then the same command" in line
    assert main(arguments) == 0


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(28, "No space left on device", "/i/0.h5.0123abcd.partial"), r"^/i/0\.h5: No space left .*make room"),
        (OSError(122, "Disk quota exceeded", "/i/plan.jsonl"), r"^/i/plan\.jsonl: Disk quota .*your share of the disk"),
        (RuntimeError("failed (time = x\n, filename = '/i/0.h5', errno = 28, error"), r"^/i/0\.h5: No space"),
        (OSError("1.faiss cannot be written (Error: No space left on device)"), "^a file .*: No space"),
        (PermissionError(13, "Permission denied", "/i"), "^/i: Permission denied$"),
    ],
)
def test_what_the_system_says_names_cause_file_and_remedy(error: Exception, line: str) -> None:
    assert re.search(line, system_line(error) or "")


def test_other_errors_are_not_the_systems() -> None:
    assert system_line(RuntimeError("shape mismatch")) is None
    assert system_line(ValueError("errno = 28")) is None


@pytest.mark.slow
def test_a_warning_of_pillow_is_one_line_that_names_the_image(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (40, 30)).save(photos / name, exif=b"Exif\0\0II*\0\xff\xff\xff\x7fgarbage")
    done = run("build", str(photos), "--out", str(tmp_path / "index"), *ARGUMENTS)
    assert done.returncode == 0
    said = [line for line in done.stderr.splitlines() if b"EXIF" in line]
    assert len(said) == 1, done.stderr
    assert said[0].split(b"unitscope: ")[1].startswith((b"a.jpg: Corrupt EXIF", b"b.jpg: Corrupt EXIF"))
    assert b"Warning" not in done.stderr
