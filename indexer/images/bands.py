"""Pictures of any number of channels, as numpy writes them (``.npy``).

An array is (height, width) or (height, width, channels), of uint8, uint16 or other numbers. It becomes 8 bits, as
pictures are: uint16 from 0..65535, others by a value range that a person gives. A picture for people is made of its
first three channels, or of the first where it has fewer; `bands_of` gives all.
"""

import io
import math
import tokenize
from typing import Final

import numpy as np
from PIL import Image

from indexer.errors import ImageRejected
from indexer.images.input_size import MAX_CHANNELS, RGB

ENDING: Final = ".npy"
MEDIA_TYPE: Final = "image/x-npy"
_MAGIC: Final = b"\x93NUMPY"
_BANDS: Final = "unitscope bands"
_FULL: Final = 65535
_HEADER_ERRORS: Final = (
    ValueError, OSError, EOFError, SyntaxError, TypeError, OverflowError, MemoryError, tokenize.TokenError,
)  # fmt: skip
"""What numpy raises on a header that is damaged; it is read as Python's own code."""


def is_array(data: bytes) -> bool:
    """Whether a file with this start is an array of numpy's."""
    return data.startswith(_MAGIC)


def read_bands(data: bytes, max_pixels: int, value_range: tuple[float, float] | None) -> Image.Image:
    """A picture for people, mode RGB, that carries all channels; see `bands_of`.

    Raises
    ------
    ImageRejected
        It is no array of numbers of such a shape, or is damaged or too large.
    """
    file = io.BytesIO(data)
    try:
        shape, dtype = _header(file)
    except _HEADER_ERRORS as error:
        raise ImageRejected(f"the array is damaged or of another version ({str(error)[:200]})") from error
    _check(shape, max_pixels)
    there, needed = len(data) - file.tell(), math.prod(shape) * dtype.itemsize
    if there < needed and not dtype.hasobject:  # numpy would take memory for all of it first
        raise ImageRejected(f"the array is cut short: {there} of {needed} bytes are there")
    file.seek(0)
    try:
        values = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise ImageRejected(f"the array is damaged or cut short ({str(error)[:200]})") from error
    bands = _in_bytes(values.reshape(*shape[:2], -1), dtype, value_range)
    shown = bands if bands.shape[2] == RGB else np.repeat(bands[:, :, :1], RGB, 2) if bands.shape[2] < RGB else bands
    picture = Image.fromarray(np.ascontiguousarray(shown[:, :, :RGB]))
    picture.info[_BANDS] = bands
    return picture


def bands_of(picture: Image.Image) -> np.ndarray | None:
    """All channels (h, w, channels) uint8 of a picture that was an array; None for other pictures."""
    bands: np.ndarray | None = picture.info.get(_BANDS)
    return bands


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"format version {version[0]}.{version[1]}; 1.0 and 2.0 are read")
    shape, _, dtype = readers[version](file)
    return shape, dtype


def _check(shape: tuple[int, ...], max_pixels: int) -> None:
    if len(shape) not in (2, 3) or min(shape) < 1 or (len(shape) == 3 and shape[2] > MAX_CHANNELS):
        raise ImageRejected(
            f"an array of shape {shape}; needed is (height, width) or (height, width, channels) with at most "
            f"{MAX_CHANNELS} channels, which come last"
        )
    if math.prod(shape[:2]) > max_pixels:
        raise ImageRejected(f"the image has {shape[1]} x {shape[0]} pixels; at most {max_pixels} are read")


def _in_bytes(values: np.ndarray, dtype: np.dtype, value_range: tuple[float, float] | None) -> np.ndarray:
    if value_range is not None and dtype.kind in "iuf" and dtype != np.uint8:
        if not np.isfinite(values).all():
            raise ImageRejected("some of its values are NaN or infinite")
        low, high = value_range
        return np.floor(np.clip((values.astype(np.float64) - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    if dtype == np.uint8:
        return np.ascontiguousarray(values)
    if dtype.kind == "u" and dtype.itemsize == 2:
        return ((values.astype(np.uint32) * 510 + _FULL) // (2 * _FULL)).astype(np.uint8)
    if dtype.kind in "iuf":
        raise ImageRejected(
            f"values of {dtype} have no defined range; save uint8 or uint16, or give --value-range LOW,HIGH, the "
            "values that are black and white"
        )
    raise ImageRejected(f"an array of {dtype} is no picture; needed are uint8, uint16, or numbers and --value-range")
