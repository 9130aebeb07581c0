"""Whether 16-bit grey would look almost black, as its values do not fill 16 bits; found out before the work starts."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from PIL import Image

from indexer.errors import ImageRejected
from indexer.images.listing import ImageFile
from indexer.images.meaning import Meaning, is_deep_grey, values_of
from indexer.images.reading import DECODER_ERRORS, open_picture, read_file
from indexer.inputs.sample import sample
from indexer.store.storage import Location

_LOOKED_AT: Final = 16
_FULL: Final = 65535
_DIM: Final = 8192
"""A highest value below this, 1/8 of what is white, is warned of."""


@dataclass(frozen=True)
class Dim:
    """Images of a sample whose 16-bit grey is almost black: how many of how many, one of them, the highest value."""

    count: int
    of: int
    path: str
    highest: int

    def __str__(self) -> str:
        top = (1 << self.highest.bit_length()) - 1
        return (
            f"{self.count} of {self.of} images looked at are almost black, such as {self.path}: of 16 bits they use "
            f"values up to {self.highest} alone; is this grey of {top.bit_length()} bits? --value-range 0,{top} says so"
        )


def dim(root: Location, files: Sequence[ImageFile], value_range: tuple[float, float] | None) -> Dim | None:
    """Look at the values of some images, spread over all; where a range is told, there is nothing to ask."""
    if value_range is not None:
        return None
    found, looked_at = [], 0
    for file in sample(files, _LOOKED_AT):
        highest = _highest(root / file.path)
        looked_at += highest is not None
        if highest and highest < _DIM:
            found.append((highest, file.path))
    if not found:
        return None
    return Dim(len(found), looked_at, found[0][1], max(highest for highest, _ in found))


def _highest(path: Location) -> int | None:
    """The highest value of an image, ``_FULL`` for one of 8 bits; None where it cannot be used."""
    try:
        with warnings.catch_warnings(action="ignore"):
            image = open_picture(read_file(path))
            if not is_deep_grey(image) or image.mode == "F" or Meaning.of(image).bits not in (None, 16):
                return _FULL
            image.load()
            return int(values_of(image).max())
    except (*DECODER_ERRORS, ImageRejected, Image.DecompressionBombError):  # the job says what is wrong with a file
        return None
