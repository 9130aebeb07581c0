"""Bytes of an image file -> 8-bit RGB pixels, upright, or the reason why they cannot be read."""

import contextlib
import errno
import hashlib
import io
import struct
from typing import Final

from PIL import Image, ImageFile

from indexer.defaults import MAX_PIXELS
from indexer.errors import ImageRejected
from indexer.images.bands import is_array, read_bands
from indexer.images.meaning import LOW_BYTES, Meaning, ValueRange, low_bytes, needs_low_bytes, to_rgb
from indexer.store.refusals import NotRegular, TooLarge
from indexer.store.storage import Location, storage_at

_FORMATS: Final = (
    "JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "DIB", "PCX", "SGI", "QOI",
)  # fmt: skip

MAX_BYTES: Final = 1 << 30
"""The largest file that is read as an image."""

HEIC_ENDINGS: Final = (".heic", ".heif", ".hif", ".heics", ".heifs")

_HEIC_BRANDS: Final = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
_WITHOUT_A_MARK: Final = ("TGA", "PCX", "DIB")
"""Formats without a mark at their start, so that any file may look like one."""

Image.init()  # registers every format now; Pillow would otherwise do so at the first odd file, during a request

with contextlib.suppress(ImportError):  # an extra
    import pillow_heif

    pillow_heif.register_heif_opener()

FORMATS: Final = (*_FORMATS, "HEIF") if "HEIF" in Image.OPEN else _FORMATS
"""The formats that are opened. Formats that start other programs (EPS) or hold no pictures are left out on purpose."""

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
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, TypeError, IndexError, KeyError, struct.error, OverflowError, EOFError,
    RuntimeError,
)  # fmt: skip
"""The errors that decoders raise on damaged files."""


def extensions() -> frozenset[str]:
    """File name extensions (lower case, with the dot) of the formats that are read."""
    return frozenset(ext for ext, name in Image.registered_extensions().items() if name in FORMATS)


def can_read_heic() -> bool:
    """Whether the extra that reads HEIC is installed."""
    return "HEIF" in FORMATS


def looks_like_image(start: bytes) -> bool:
    """Whether a file with this start is an image, by the marks of the formats. HEIC counts even if it is not read."""
    known = [Image.OPEN[name][1] for name in FORMATS if name in Image.OPEN and name not in _WITHOUT_A_MARK]
    return _is_heic(start) or is_array(start) or any(accept(start) is True for accept in known if accept is not None)


def _is_heic(start: bytes) -> bool:
    return start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS


def read_file(path: Location) -> bytes:
    """The bytes of an image's file.

    Raises
    ------
    OSError
        It cannot be read, is larger than `MAX_BYTES`, or is a pipe or a device, which may never end.
    """
    try:
        return storage_at(path).read(MAX_BYTES)
    except NotRegular as error:
        raise OSError(errno.EINVAL, "not a regular file") from error
    except TooLarge as error:
        raise OSError(errno.EFBIG, f"too large for an image: {error}") from error


def file_digest(path: Location) -> bytes:
    """sha256 of an image's file, as an index keeps it.

    Raises
    ------
    OSError
        As `read_file`.
    """
    return hashlib.sha256(read_file(path)).digest()


def read_picture(data: bytes, max_pixels: int = MAX_PIXELS, value_range: ValueRange | None = None) -> Image.Image:
    """Decode an image.

    The size is checked before anything is decoded. EXIF orientation is applied. Of several frames the first is taken.
    `indexer.images.meaning` gives the pixels their meaning: transparent pixels become white, and 16-bit grey is scaled
    to 8 bits.

    Parameters
    ----------
    data : bytes
        The file.
    max_pixels : int
        Refuse images with more pixels.
    value_range : (float, float), optional
        The values that are black and white, for grey with more than 8 bits.

    Returns
    -------
    PIL.Image.Image
        Mode RGB, upright, fully loaded. Of an array of numpy's it carries all channels (`indexer.images.bands`).

    Raises
    ------
    ImageRejected
        The data is not an image of a known format, or is damaged, empty or too large.
    """
    if is_array(data):
        return read_bands(data, max_pixels, value_range)
    image = open_picture(data, max_pixels)
    meaning = Meaning.of(image)
    try:
        low = low_bytes(open_picture(data, max_pixels)) if needs_low_bytes(image, meaning) else None
        image.load()
    except MemoryError:
        raise
    except DECODER_ERRORS as error:
        raise ImageRejected(f"the {image.format} data is damaged or cut short ({error})") from error
    if low is not None:
        image.info[LOW_BYTES] = low
    return _upright(to_rgb(image, meaning, value_range), _orientation(image))


def open_picture(data: bytes, max_pixels: int = MAX_PIXELS) -> ImageFile.ImageFile:
    """Open an image without decoding it; see `read_picture`."""
    image = _open(data, max_pixels)
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageRejected(f"the image has no pixels ({width} x {height})")
    if width * height > max_pixels:
        raise ImageRejected(f"the image has {width} x {height} pixels; at most {max_pixels} are read")
    return image


def _open(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    if not data:
        raise ImageRejected("the file is empty")
    if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = max_pixels  # Pillow checks this bound of its own first
    try:
        return Image.open(io.BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageRejected("the image claims far more pixels than are read") from error
    except DECODER_ERRORS as error:
        if _is_heic(data) and not can_read_heic():
            raise ImageRejected("an image in HEIC; to read it, install unitscope[heic]") from error
        raise ImageRejected(f"not an image that can be read; the formats are {', '.join(FORMATS)}") from error


def _orientation(image: Image.Image) -> int:
    try:
        orientation: int = image.getexif().get(_ORIENTATION_TAG, 1)
    except DECODER_ERRORS:  # EXIF that cannot be parsed says nothing about the pixels
        return 1
    return orientation


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image
