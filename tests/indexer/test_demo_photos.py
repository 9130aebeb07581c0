"""The demo photographs: where they come from, how they lie, and that preparing them can be interrupted."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from indexer.demo.__main__ import main
from indexer.demo.photos import PACKAGE_SOURCES, Photo, Source, SourceUnavailable, prepare_photos


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_packages_give_photographs_in_class_folders(tmp_path: Path) -> None:
    folder = prepare_photos(tmp_path, PACKAGE_SOURCES)

    paths = files_of(folder)
    assert len(paths) == 42
    assert "bald eagle/imagenet_17_22.jpg" in paths
    assert {"mammals/chelsea.png", "coins.png"} <= paths.keys()
    for path, data in paths.items():
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert min(image.size) >= 100, path
    notes = json.loads((tmp_path / "photos.json").read_text())
    assert notes == {"foolbox": 20, "scikit-image": 20, "scikit-learn": 2}


def numbered(count: int) -> list[Photo]:
    return [Photo(f"class {i % 2}", f"{i}.jpg", lambda i=i: bytes([i]) * 10) for i in range(count)]


def test_second_run_asks_no_source(tmp_path: Path) -> None:
    asked = []

    def photos(workspace: Path) -> list[Photo]:
        asked.append(workspace)
        return numbered(3)

    for _ in range(2):
        prepare_photos(tmp_path, [Source("once", photos)])
    assert len(asked) == 1
    assert not asked[0].exists()


@pytest.mark.parametrize("stop_at", [0, 1, 4])
def test_interrupted_run_goes_on(tmp_path: Path, stop_at: int) -> None:
    def interrupted(workspace: Path) -> list[Photo]:
        def stop() -> bytes:
            raise KeyboardInterrupt

        (workspace / "package").write_text("downloaded")
        photos = numbered(5)
        photos[stop_at] = Photo(photos[stop_at].class_, photos[stop_at].name, stop)
        return photos

    def resumed(workspace: Path) -> list[Photo]:
        assert (workspace / "package").read_text() == "downloaded"
        return [Photo(photo.class_, photo.name, photo.read) for photo in numbered(5)]

    with pytest.raises(KeyboardInterrupt):
        prepare_photos(tmp_path / "stopped", [Source("numbers", interrupted)])
    assert len(files_of(tmp_path / "stopped" / "photos")) == stop_at
    assert not (tmp_path / "stopped" / "photos.json").exists()

    prepare_photos(tmp_path / "stopped", [Source("numbers", resumed)])
    prepare_photos(tmp_path / "whole", [Source("numbers", lambda workspace: numbered(5))])
    assert files_of(tmp_path / "stopped") == files_of(tmp_path / "whole")


def test_file_left_half_written_by_a_killed_run_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / "photos" / "class 0" / "0.jpg.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    prepare_photos(tmp_path, [Source("numbers", lambda workspace: numbered(1))])
    assert files_of(tmp_path / "photos") == {"class 0/0.jpg": bytes(10)}


def test_source_that_cannot_be_had_is_said_and_tried_again(tmp_path: Path) -> None:
    def unavailable(workspace: Path) -> list[Photo]:
        raise SourceUnavailable("no network")

    said: list[str] = []
    sources = [Source("far", unavailable), Source("near", lambda workspace: numbered(2))]
    prepare_photos(tmp_path, sources, said.append)
    assert said == ["Without the photos of far: no network"]
    assert len(files_of(tmp_path / "photos")) == 2

    prepare_photos(tmp_path, [Source("far", lambda workspace: numbered(4))], said.append)
    assert len(files_of(tmp_path / "photos")) == 4
    assert len(said) == 1


def test_command_prepares_one_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        assert main(["--only", "weights", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"Weights: {tmp_path / 'squeezenet1_1.pth'}\n" * 2
    assert [path.name for path in tmp_path.iterdir()] == ["squeezenet1_1.pth"]
