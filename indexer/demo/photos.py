"""A folder of class folders, filled with photographs that packages happen to ship.

1. A `Source` lists its `Photo`s. A photo is read only when it is written.
2. `prepare_photos` writes the missing photos, each file atomically, and notes every finished source in ``photos.json``
   beside the folder. So a second run does nothing, and a run after an interruption goes on where that one stopped.

`PACKAGE_SOURCES` are Python packages; the source from Debian is in `indexer.demo.stamps`. Rights: see CREDITS.md.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tqdm import tqdm

from indexer.demo.packages import package_folder
from indexer.errors import UnitscopeError
from indexer.store import atomic
from indexer.system.torchvision import torchvision


class SourceUnavailable(UnitscopeError):
    """This machine cannot get the photographs of a source. The demo goes on without them."""


@dataclass(frozen=True)
class Photo:
    """One photograph: its class, which is its folder ("": it has none), its name, and how its bytes are read."""

    class_: str
    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class Source:
    """A named set of photographs. ``photos(workspace)`` lists them, and may keep downloads in that folder."""

    name: str
    photos: Callable[[Path], list[Photo]]


_SCIKIT_IMAGE: dict[str, tuple[str, ...]] = {
    "food": ("coffee.png",),
    "household": ("clock_motion.png",),
    "mammals": ("chelsea.png",),
    "space": ("hubble_deep_field.jpg", "moon.png"),
    "vehicles": ("motorcycle_left.png", "motorcycle_right.png", "rocket.jpg"),
    "": (
        "astronaut.png", "brick.png", "camera.png", "cell.png", "coins.png", "grass.png", "gravel.png", "ihc.png",
        "microaneurysms.png", "page.png", "retina.jpg", "text.png",
    ),
}  # fmt: skip
_SCIKIT_LEARN: dict[str, tuple[str, ...]] = {"flowers": ("flower.jpg",), "": ("china.jpg",)}


def _foolbox(workspace: Path) -> list[Photo]:
    categories = torchvision.models.SqueezeNet1_1_Weights.IMAGENET1K_V1.meta["categories"]
    files = sorted((package_folder("foolbox") / "data").glob("imagenet_*.jpg"))
    return [_file(categories[int(file.stem.rpartition("_")[2])].replace("/", "-"), file) for file in files]


def _chosen(package: str, folder: str, chosen: dict[str, tuple[str, ...]], workspace: Path) -> list[Photo]:
    files = package_folder(package) / folder
    return [_file(class_, files / name) for class_, names in chosen.items() for name in names]


def _file(class_: str, file: Path) -> Photo:
    return Photo(class_, file.name, file.read_bytes)


PACKAGE_SOURCES: Final = (
    Source("foolbox", _foolbox),
    Source("scikit-image", partial(_chosen, "skimage", "data", _SCIKIT_IMAGE)),
    Source("scikit-learn", partial(_chosen, "sklearn", "datasets/images", _SCIKIT_LEARN)),
)


def prepare_photos(out: Path, sources: Sequence[Source], say: Callable[[str], None] = print) -> Path:
    """Fill ``out/photos`` from the sources that are not finished yet.

    Parameters
    ----------
    out : Path
        The folder of the demo data; it is made if it is missing.
    sources : sequence of Source
    say : callable
        Gets a sentence about each source whose photographs this machine cannot get.

    Returns
    -------
    Path
        The folder of class folders.
    """
    folder, notes, workspace = out / "photos", out / "photos.json", out / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        finished = json.loads(notes.read_text()) if notes.exists() else {}
        if source.name in finished:
            continue
        workspace.mkdir(exist_ok=True)
        try:
            photos = source.photos(workspace)
        except SourceUnavailable as reason:
            say(f"Without the photos of {source.name}: {reason}")
            continue
        for photo in tqdm(photos, desc=source.name, unit="photo", disable=None):
            _write(folder / photo.class_, photo)
        atomic.write_bytes(notes, json.dumps({**finished, source.name: len(photos)}, indent=2).encode())
        atomic.remove(workspace)
    return folder


def _write(folder: Path, photo: Photo) -> None:
    if not (folder / photo.name).exists():
        folder.mkdir(exist_ok=True)
        atomic.remove_partial(folder)
        atomic.write_bytes(folder / photo.name, photo.read())
