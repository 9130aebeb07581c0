"""The stamps of Debian's package: which are photographs, how they lie on white, and how they are fetched."""

import io
import shutil
import subprocess
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
from PIL import Image

from indexer.demo import stamps
from indexer.demo.photos import Photo, SourceUnavailable


def png(width: int, height: int, seed: int = 0) -> bytes:
    """Random colours, opaque in the middle and transparent, over a hidden black, around it."""
    pixels = np.zeros((height, width, 4), np.uint8)
    inner = pixels[height // 4 : -height // 4, width // 4 : -width // 4]
    inner[...] = np.random.default_rng(seed).integers(0, 200, inner.shape)
    inner[..., 3] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def names(photos: list[Photo]) -> list[str]:
    return [f"{photo.class_}/{photo.name}" for photo in photos]


def among(*paths: str) -> list[str]:
    return names(stamps.photos_among({PurePosixPath(p): png(90, 70, i) for i, p in enumerate(paths)}))


def test_drawings_symbols_and_mirrored_copies_are_left_out() -> None:
    birds = [f"animals/birds/{name}.png" for name in ("crow", "duck", "owl")]
    drawn = ["symbols/chess/king.png", "animals/birds/cartoon/kiwi.png", "animals/birds/owl_mirror.png"]
    drawn += ["seasonal/christmas/bow.png", "clothes/t_sock.png", "town/roadsigns/stop.png"]
    rendered = ["animals/birds/rooster.svg", "animals/birds/rooster.png"]
    assert among(*birds, *drawn, *rendered) == [f"birds/{name}.jpg" for name in ("crow", "duck", "owl")]


@pytest.mark.parametrize(
    ("stamp", "photo"),
    [
        ("animals/mammals/aquatic/whale.png", "sea-life/whale.jpg"),
        ("animals/mammals/giraffe.png", "hoofed-animals/giraffe.jpg"),
        ("animals/mammals/apes/chimp.png", "mammals/chimp.jpg"),
        ("plants/flowers/rose.png", "flowers/rose.jpg"),
        ("plants/trees/birch.png", "plants/birch.jpg"),
        ("medical/syringe.png", "/syringe.jpg"),
    ],
)
def test_folders_are_grouped_into_classes(stamp: str, photo: str) -> None:
    assert among(stamp) == [photo]


def test_small_and_repeated_stamps_are_left_out() -> None:
    files = {
        "a/x.png": png(90, 70),
        "b/x.png": png(90, 70),
        "a/tiny.png": png(63, 20),
        "a/small.png": png(20, 64),
    }
    photos = stamps.photos_among({PurePosixPath(path): data for path, data in files.items()})
    assert names(photos) == ["/small.jpg", "/x.jpg"]


@pytest.mark.parametrize(("width", "height"), [(160, 80), (48, 200), (100, 90)])
def test_cut_out_lies_in_the_middle_of_white(width: int, height: int) -> None:
    data = png(width, height)
    sheet = np.asarray(Image.open(io.BytesIO(stamps.lay_on_white(data)))).astype(int)

    assert max(sheet.shape[:2]) == max(width, height) + 2 * round(max(width, height) / 16)
    assert max(sheet.shape[:2]) / min(sheet.shape[:2]) <= 1.26
    top, left = (sheet.shape[0] - height) // 2, (sheet.shape[1] - width) // 2
    white = np.full(sheet.shape, 255)
    rgba = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    opaque = rgba[..., 3:] == 255
    white[top : top + height, left : left + width] = np.where(opaque, rgba[..., :3], 255)
    # JPEG moves colours, of which there is one a pixel here; the mean and the far corners tell enough.
    assert np.abs(sheet.mean(axis=(0, 1)) - white.mean(axis=(0, 1))).max() < 3
    assert (sheet[:8, :8] >= 250).all()
    assert np.corrcoef(sheet.ravel(), white.ravel())[0, 1] > 0.8


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A small Debian package with the same layout."""
    if not shutil.which("dpkg-deb"):
        pytest.skip("dpkg-deb is Debian's")
    root = tmp_path / "root"
    files = {
        "animals/birds/crow.png": png(90, 70),
        "town/docks.svg": b"<svg/>",
        "town/docks.png": png(80, 80, 1),
    }
    for name, data in files.items():
        file = root / "usr/share/tuxpaint/stamps" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (root / "usr/share/other.png").write_bytes(b"of no concern")
    (root / "DEBIAN").mkdir()
    fields = (
        f"Package: {stamps.PACKAGE}",
        "Version: 1",
        "Architecture: all",
        "Maintainer: A",
        "Description: B",
    )
    (root / "DEBIAN/control").write_text("\n".join((*fields, "")))
    deb = tmp_path / f"{stamps.PACKAGE}_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", str(root), str(deb)], check=True, stdout=subprocess.DEVNULL)
    return deb


def test_pictures_are_read_from_the_package(package: Path) -> None:
    found = stamps.read_stamps(package)
    assert sorted(map(str, found)) == ["animals/birds/crow.png", "town/docks.png", "town/docks.svg"]
    assert found[PurePosixPath("animals/birds/crow.png")] == png(90, 70)
    assert names(stamps.photos_among(found)) == ["birds/crow.jpg"]


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_damaged_package_is_named(package: Path, keep: float) -> None:
    data = package.read_bytes()
    package.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(SourceUnavailable, match=rf"{stamps.PACKAGE}_1_all\.deb cannot be unpacked"):
        stamps.read_stamps(package)


def apt(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put an apt-get of our own in front of the machine's."""
    folder.mkdir()
    for name, text in {"apt-get": script, "dpkg-deb": "exit 0"}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_package_is_downloaded_with_lists_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = f"{stamps.PACKAGE}_1_all.deb"
    script = f'echo "$@" >> {tmp_path}/calls; case "$*" in *download*) echo deb > {package};; esac'
    apt(tmp_path / "bin", monkeypatch, script)
    workspace = tmp_path / "workspace"
    assert stamps.download(workspace) == workspace / package
    update, download = (tmp_path / "calls").read_text().splitlines()
    assert update.endswith("update")
    assert download.endswith(f"download {stamps.PACKAGE}")
    assert f"Dir::State::lists={workspace}/lists" in update
    assert f"Dir::State::lists={workspace}/lists" in download


def test_reason_of_apt_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt(tmp_path / "bin", monkeypatch, 'echo "E: Unable to locate package" >&2; exit 100')
    with pytest.raises(SourceUnavailable, match=r"apt-get failed \(E: Unable to locate package\)"):
        stamps.download(tmp_path)


def test_machine_without_apt_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceUnavailable, match="this machine has no apt-get"):
        stamps.download(tmp_path)
