"""Pixels of any of Pillow's modes -> RGB, by their meaning: depth, transparent colour, whether white is zero.

A mode alone does not tell the meaning. Grey of 16 bits may be 12 bits of a camera, white may be zero, and one grey or
colour may stand for transparent pixels. Transparent pixels become white.
"""

from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageMode

from indexer.errors import ImageRejected

ValueRange = tuple[float, float]
"""The values of deep pixels that are shown as black and as white."""

_PHOTOMETRIC, _BITS = 262, 258
_WHITE_IS_ZERO: Final = 0
_PNG_GREY_STEPS: Final = {"L;2": 85, "L;4": 17}
"""The factor by which Pillow multiplies grey of 2 and of 4 bits."""
_SAY_RANGE: Final = (
    "save the image with 8 or 16 bits, or give --value-range LOW,HIGH, the values that are black and white"
)


@dataclass(frozen=True)
class Meaning:
    """The meaning of a file's pixels beyond their mode. It must be read before the pixels are loaded.

    Attributes
    ----------
    unpacked : str
        Pillow's name of the way it unpacks the pixels, such as ``RGB;16B``; empty if Pillow gives none.
    bits : int or None
        The bits of a grey value, if the file gives them.
    white_is_zero : bool
        Whether the file says that 0 is white. Pillow inverts grey of up to 8 bits itself; deeper grey is inverted here.
    """

    unpacked: str = ""
    bits: int | None = None
    white_is_zero: bool = False

    @classmethod
    def of(cls, image: Image.Image) -> "Meaning":
        tiles = getattr(image, "tile", None)
        arguments = tiles[0].args if tiles else ""
        unpacked = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        tags = getattr(image, "tag_v2", {})
        bits = tags.get(_BITS)
        return cls(
            unpacked if isinstance(unpacked, str) else "",
            int(bits[0] if isinstance(bits, tuple) else bits) if bits else None,
            tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
        )


def to_rgb(image: Image.Image, meaning: Meaning | None = None, value_range: ValueRange | None = None) -> Image.Image:
    """The image in RGB, 8 bits.

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded, of any mode.
    meaning : Meaning, optional
        The meaning that its file gave.
    value_range : (float, float), optional
        The values that are black and white, for pixels with more than 8 bits; values beyond are clipped. By default
        16 bits are 0..65535, and deeper pixels are refused. Pixels of 8 bits stay as they are.

    Raises
    ------
    ImageRejected
        The pixels are floating-point or of 32 bits, for which no range is defined; or they are colours of 16 bits, and
        a range is given.
    """
    meaning = meaning or Meaning()
    if is_deep_grey(image):
        return _from_deep_grey(image, meaning, value_range)
    if value_range is not None and ";16" in meaning.unpacked:
        raise ImageRejected("colours of 16 bits are read as 8 bits, so --value-range, which is for grey, cannot apply")
    if image.mode == "LAB":
        return _from_lab(image)
    if image.has_transparency_data:
        return on_white(_with_alpha(image, meaning))
    return image.convert("RGB")


def is_deep_grey(image: Image.Image) -> bool:
    """Whether pixels are single values of more than 8 bits."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def values_of(image: Image.Image) -> np.ndarray:
    """The values (H, W) of deep grey, whatever the byte order of the mode."""
    if not image.mode.startswith("I;16"):
        return np.asarray(image)
    order = ImageMode.getmode(image.mode).typestr
    return np.frombuffer(image.tobytes(), order).reshape(image.height, image.width)


def _from_deep_grey(image: Image.Image, meaning: Meaning, value_range: ValueRange | None) -> Image.Image:
    values = values_of(image)
    grey = _scaled(values, image.mode, meaning, value_range)
    if meaning.white_is_zero:
        grey = 255 - grey
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")


def _scaled(values: np.ndarray, mode: str, meaning: Meaning, value_range: ValueRange | None) -> np.ndarray:
    """Grey (H, W) uint8, a new array."""
    if value_range is not None:
        low, high = value_range
        if not np.isfinite(values).all():
            raise ImageRejected("some of its pixels are NaN or infinite")
        shares = np.clip((values.astype(np.float64) - low) / (high - low), 0, 1)
        return np.floor(shares * 255 + 0.5).astype(np.uint8)
    if mode == "F":
        raise ImageRejected(f"floating-point pixels have no defined range; {_SAY_RANGE}")
    top = 65535
    if mode == "I":
        if values.size and (values.min() < 0 or values.max() > top):
            raise ImageRejected(f"32-bit pixels have no defined range; {_SAY_RANGE}")
    elif meaning.bits is not None and 8 < meaning.bits < 16:
        top = (1 << meaning.bits) - 1
    # v * 255 / top in whole numbers, rounding halves up.
    return ((values.astype(np.uint64) * 510 + top) // (2 * top)).astype(np.uint8)


def _with_alpha(image: Image.Image, meaning: Meaning) -> Image.Image:
    """The image as RGBA."""
    if image.mode == "La":  # greys multiplied by their alpha; Pillow cannot convert them to RGBA directly
        image = image.convert("LA")
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple):
        return _without_colour(image, transparent, meaning)
    if image.mode == "L" and isinstance(transparent, int):
        alpha = np.where(np.asarray(image) == transparent * _PNG_GREY_STEPS.get(meaning.unpacked, 1), 0, 255)
        rgba = image.convert("RGB")
        rgba.putalpha(Image.fromarray(alpha.astype(np.uint8)))
        return rgba
    return image.convert("RGBA")


def _without_colour(image: Image.Image, colour: tuple[int, ...], meaning: Meaning) -> Image.Image:
    """RGB with one transparent colour, as RGBA. Colours of 16 bits are compared in all bits."""
    low = image.info.get(LOW_BYTES)
    pixels = np.asarray(image)
    same = (pixels == (np.array(colour) >> 8 if low is not None else np.array(colour))).all(axis=2)
    if low is not None:
        same &= (low == (np.array(colour) & 255)).all(axis=2)
    rgba = image.convert("RGB")
    rgba.info.pop("transparency", None)
    rgba.putalpha(Image.fromarray(np.where(same, 0, 255).astype(np.uint8)))
    return rgba


LOW_BYTES: Final = "unitscope low bytes"
"""The key under which an image's ``info`` holds its `low_bytes`."""


def needs_low_bytes(image: Image.Image, meaning: Meaning) -> bool:
    """Whether a colour of 16 bits stands for transparent pixels. Pillow loads only the upper 8 bits of colours."""
    return meaning.unpacked == "RGB;16B" and isinstance(image.info.get("transparency"), tuple)


def low_bytes(image: ImageFile.ImageFile) -> np.ndarray:
    """The lower 8 bits (H, W, 3) of an image of ``RGB;16B`` that is not loaded yet. This loads it.

    Pillow has no mode for 16-bit colours and keeps one byte of each. Told that the bytes are in the other order, it
    keeps the lower byte.
    """
    image.tile = [tile._replace(args="RGB;16L") for tile in image.tile]
    image.load()
    return np.array(image)


def on_white(rgba: Image.Image) -> Image.Image:
    """RGBA on white, as RGB. Just dropping alpha would show the colours hidden under transparent pixels."""
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, rgba).convert("RGB")


def _from_lab(image: Image.Image) -> Image.Image:
    try:
        converted = ImageCms.applyTransform(image, _lab_to_rgb())
    except (ImageCms.PyCMSError, ValueError, OSError) as error:
        raise ImageRejected(f"its colours in CIELAB cannot be converted ({error})") from error
    return cast(Image.Image, converted)  # None only where the image itself is changed


def _lab_to_rgb() -> Any:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
