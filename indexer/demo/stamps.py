"""The photographs among Tux Paint's stamps: about 330 cut-outs in category folders, from Debian's archive.

`debian_stamps` downloads the package with apt, as any user, and hands its pictures to `photos_among`.
"""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping
from fnmatch import fnmatch
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Final

from PIL import Image

from indexer.demo.classes import class_of
from indexer.demo.photos import Photo, Source, SourceUnavailable
from indexer.images.reading import read_picture

PACKAGE: Final = "tuxpaint-stamps-default"
_STAMPS = PurePosixPath("usr/share/tuxpaint/stamps")

_DRAWN = (
    "symbols/*", "*/cartoon/*", "*_mirror.png", "*_flip.png", "animals/mammals/echidna.png",
    "animals/mammals/hedgehog.png", "clothes/t_*", "clothes/button.png", "food/pizza.png",
    "household/arttools/highlighter.png", "medical/tooth.png", "naturalforces/*", "people/body_parts/*",
    "seasonal/christmas/[!A-Z]*", "seasonal/christmas/Santa.png", "seasonal/easter/*",
    "seasonal/halloween/[!g]*", "seasonal/halloween/ghost.png", "seasonal/hanukkah/*",
    "seasonal/newyears/*", "space/planets/0_sun.png", "town/flags/*", "town/monuments/*-outline.png",
    "town/roadsigns/arrow.png", "town/roadsigns/crossroads.png", "town/roadsigns/hospital.png",
    "town/roadsigns/roundabout.png", "town/roadsigns/stop*", "town/roadsigns/t-junction.png",
    "town/roadsigns/toilets.png", "town/roadsigns/yield.png", "vehicles/emergency/sedan_police.png",
)  # fmt: skip
"""Drawings, symbols and mirrored copies, by path below the stamps' folder."""

_SMALLEST = 64
"""The shortest longer side, in pixels, of a stamp. Smaller stamps would be little but blur."""

_MARGIN = 1 / 16
_LARGEST_RATIO = 5 / 4
"""White is added until the sheet is square enough for a centre crop to show nearly all of the stamp."""


def photos_among(stamps: Mapping[PurePosixPath, bytes]) -> list[Photo]:
    """The photographs among the stamps, in the classes of `indexer.demo.classes`.

    Parameters
    ----------
    stamps : mapping
        Path below the stamps' folder -> file. A ``.png`` beside an ``.svg`` is the drawing's rendering.
    """
    chosen: dict[bytes, PurePosixPath] = {}  # by digest: some stamps lie in two folders
    for path, data in sorted(stamps.items()):
        if path.suffix == ".png" and not _drawn(path, stamps) and _longer_side(data) >= _SMALLEST:
            chosen.setdefault(sha256(data).digest(), path)
    return [Photo(class_of(path), f"{path.stem}.jpg", partial(lay_on_white, stamps[path])) for path in chosen.values()]


def _drawn(path: PurePosixPath, stamps: Mapping[PurePosixPath, bytes]) -> bool:
    return path.with_suffix(".svg") in stamps or any(fnmatch(str(path), pattern) for pattern in _DRAWN)


def _longer_side(png: bytes) -> int:
    return max(Image.open(io.BytesIO(png), formats=["PNG"]).size)


def lay_on_white(data: bytes) -> bytes:
    """A cut-out with alpha -> a JPEG with the cut-out in the middle of a white sheet."""
    picture = read_picture(data)
    longer = max(picture.size)
    margin = round(longer * _MARGIN)
    shortest = round((longer + 2 * margin) / _LARGEST_RATIO)
    width, height = (max(side + 2 * margin, shortest) for side in picture.size)
    sheet = Image.new("RGB", (width, height), "white")
    sheet.paste(picture, ((width - picture.width) // 2, (height - picture.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "JPEG", quality=92)
    return file.getvalue()


def read_stamps(package: Path) -> dict[PurePosixPath, bytes]:
    """The pictures of the Debian package, by path below the stamps' folder. Drawings (.svg) are empty.

    Raises
    ------
    SourceUnavailable
        The package cannot be unpacked.
    """
    stamps: dict[PurePosixPath, bytes] = {}
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(package)], stdout=subprocess.PIPE) as unpacking:
        assert unpacking.stdout is not None
        try:
            with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
                for member in archive:
                    path = PurePosixPath(member.name)
                    if path.suffix in (".png", ".svg") and path.is_relative_to(_STAMPS):
                        file = archive.extractfile(member) if path.suffix == ".png" else None
                        stamps[path.relative_to(_STAMPS)] = file.read() if file else b""
        except tarfile.TarError as error:
            raise SourceUnavailable(f"{package.name} cannot be unpacked ({error})") from error
    if unpacking.returncode or not stamps:
        raise SourceUnavailable(f"{package.name} cannot be unpacked, or holds no stamps")
    return stamps


def download(workspace: Path) -> Path:
    """Download the package into a folder with apt. Files that are already there are kept.

    Raises
    ------
    SourceUnavailable
        This is not a Debian machine, or its archive cannot be reached.
    """
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SourceUnavailable(f"{PACKAGE} is a package of Debian, and this machine has no apt-get")
    # Package lists of its own, because the machine's may be missing (as in containers), stale or root's.
    lists, cache = workspace / "lists", workspace / "cache"
    for folder in (lists, cache / "archives"):
        (folder / "partial").mkdir(parents=True, exist_ok=True)
    options = ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}", "-o", "Acquire::Retries=2")
    _apt(workspace, "-qq", *options, "update")
    _apt(workspace, *options, "download", PACKAGE)
    return next(workspace.glob(f"{PACKAGE}_*.deb"))


def _apt(workspace: Path, *arguments: str) -> None:
    # Standard output is not captured, because it shows the progress of a long download.
    done = subprocess.run(["apt-get", *arguments], cwd=workspace, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SourceUnavailable(f"apt-get failed ({last})")


def _photos(workspace: Path) -> list[Photo]:
    print(f"Downloading {PACKAGE} from Debian's archive (about 160 MB)", flush=True)
    return photos_among(read_stamps(download(workspace.resolve())))


debian_stamps: Final = Source(PACKAGE, _photos)
