"""Bytes of an image file -> 8-bit RGB pixels, upright, or a reason why not."""

import errno
import io
import os
import stat
import struct
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from indexer.errors import ImageRejected
from indexer.store.remote import RemotePath

FORMATS: Final = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "DIB", "PCX", "SGI", "QOI",
)  # fmt: skip
"""What is opened. Formats that start other programs (EPS) or that are no pictures are left out on purpose."""

MAX_PIXELS: Final = 64_000_000
"""Largest width x height that is decoded unless told otherwise (192 MB of RGB)."""

MAX_BYTES: Final = 1 << 30
"""Largest file that is read as an image."""

Image.init()  # registers every format once; else it would be done on the first odd file, under a request

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_DECODER_ERRORS = (OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error, OverflowError)


def extensions() -> frozenset[str]:
    """File name extensions (lower case, with the dot) of the formats that are read."""
    return frozenset(ext for ext, name in Image.registered_extensions().items() if name in FORMATS)


def read_file(path: Path | RemotePath) -> bytes:
    """The bytes of an image's file.

    Raises
    ------
    OSError
        It cannot be read, is larger than `MAX_BYTES`, or is no file: a pipe or a device never ends.
    """
    if isinstance(path, RemotePath):
        _check_size(path.stat().st_size)
        return path.read_bytes()
    with open(path, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "no file of an image")
        _check_size(status.st_size)
        return file.read()  # a number would have so many bytes set aside


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise OSError(errno.EFBIG, f"no file of an image: it has {size} bytes, {MAX_BYTES} at most are read")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def read_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decode an image.

    The size is checked before anything is decoded. EXIF orientation is applied, transparency is laid on white,
    16-bit grey is scaled to 8 bits, of several frames the first is taken.

    Parameters
    ----------
    data : bytes
        The file.
    max_pixels : int
        Refuse images with more pixels.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, upright, fully loaded.

    Raises
    ------
    ImageRejected
        Not an image of a known format, damaged, empty or too large.
    """
    image = _open(data)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageRejected(f"the image has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageRejected(f"the image has {width} x {height} pixels; at most {max_pixels} are read")
    try:
        image.load()
    except MemoryError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageRejected(f"the {image.format} data is damaged or cut short ({error})") from error
    return to_rgb(_upright(image))


def _open(data: bytes) -> Image.Image:
    if not data:
        raise ImageRejected("the file is empty")
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("the image claims far more pixels than are read") from error
    except _DECODER_ERRORS as error:
        raise ImageRejected(f"not an image that can be read; the formats are {', '.join(FORMATS)}") from error


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except _DECODER_ERRORS:  # EXIF that cannot be parsed says nothing about the pixels
        return image
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to RGB; see `read_picture` for how.

    Raises
    ------
    ImageRejected
        Floating-point or 32-bit pixels, whose range nothing defines.
    """
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I;16"):
        return _from_16_bit(image)
    if image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ImageRejected("32-bit pixels have no defined range; save the image with 8 or 16 bits")
        return _grey(values)
    if image.mode == "F":
        raise ImageRejected("floating-point pixels have no defined range; save the image with 8 or 16 bits")
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _from_16_bit(image: Image.Image) -> Image.Image:
    order = ">u2" if image.mode == "I;16B" else "<u2"
    values = np.frombuffer(image.tobytes(), dtype=order).reshape(image.height, image.width)
    return _grey(values)


def _grey(values: np.ndarray) -> Image.Image:
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    # Converting RGBA to RGB would show the colours hidden under transparent pixels.
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")
