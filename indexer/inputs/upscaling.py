"""Whether a network would see pictures blown up, found out before the work starts."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.images.reading import FORMATS
from indexer.inputs.sample import sample
from indexer.store.storage import Location, storage_at

LIMIT: Final = 2.0
"""Scaling up by more than this is warned of."""
_LOOKED_AT: Final = 200
_LOOKED_AT_REMOTE: Final = 16
_TURNED: Final = (5, 6, 7, 8)
_ORIENTATION: Final = 0x0112


@dataclass(frozen=True)
class Upscaled:
    """Images of a sample that are scaled up by more than `LIMIT`: how many of how many, the worst, its sizes."""

    count: int
    of: int
    path: str
    size: tuple[int, int]
    scaled: tuple[int, int]

    def __str__(self) -> str:
        (width, height), (new_width, new_height) = self.size, self.scaled
        return (
            f"{self.count} of {self.of} images looked at are scaled up by more than {LIMIT:g}, such as {self.path}: "
            f"{width} x {height} becomes {new_width} x {new_height}; is this the size that the network was trained on? "
            "--resize and --crop change it"
        )


def upscaled(root: Location, files: Sequence[ImageFile], preprocessing: Preprocessing) -> Upscaled | None:
    """Look at the sizes of some images, spread over all; files that are no images are passed over."""
    most = _LOOKED_AT_REMOTE if storage_at(root).costs_requests else _LOOKED_AT
    found, looked_at = [], 0
    for file in sample(files, most):
        size = _size(root / file.path)
        if size is None:
            continue
        looked_at += 1
        placed = preprocessing.placement(*size)
        factor = max(placed.x.resized / size[0], placed.y.resized / size[1])
        found.append((factor, file.path, size, (placed.x.resized, placed.y.resized)))
    over = [one for one in found if one[0] > LIMIT]
    return Upscaled(len(over), looked_at, *max(over)[1:]) if over else None


def _size(path: Location) -> tuple[int, int] | None:
    """Width and height of a picture, upright; None where that is not to be had."""
    try:
        if not path.is_file():  # a pipe never ends
            return None
        file = storage_at(path).readable()
        with warnings.catch_warnings(action="ignore"), Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            turned = image.getexif().get(_ORIENTATION) in _TURNED
    except Exception:  # decoders raise anything; the job itself says what is wrong with a file
        return None
    return ((height, width) if turned else (width, height)) if width and height else None
