"""Patches cut out of original pictures."""

import io
from typing import Literal

from PIL import Image, ImageDraw

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box

MAX_SIZE = 2048
MAX_CONTEXT = 4.0
_OUTLINE = ((0, 0, 0), (255, 214, 0))
_OUTLINED = 160
"""Each line of an outline is one pixel thick for every so many pixels of the picture's longer side."""


def region_around(box: Box, context: float, width: int, height: int) -> Box:
    """A box widened on each side by ``context`` times its own side, clipped to a picture of this size."""
    if not 0 <= context <= MAX_CONTEXT:
        raise InvalidRequest(f"context must be 0 to {MAX_CONTEXT:g}, not {context}")
    dx, dy = round(box.width * context), round(box.height * context)
    wide = Box(box.left - dx, box.top - dy, box.right + dx, box.bottom + dy)
    return wide.intersect(Box(0, 0, width, height))


def crop(picture: Image.Image, region: Box) -> Image.Image:
    """The pixels of a region that lies within the picture."""
    return picture.crop((region.left, region.top, region.right, region.bottom))


def scale(picture: Image.Image, size: int | None) -> Image.Image:
    """Make the longer side ``size`` pixels long; None leaves the original pixels."""
    if size is None:
        return picture
    if not 1 <= size <= MAX_SIZE:
        raise InvalidRequest(f"size must be 1 to {MAX_SIZE} pixels, not {size}")
    return picture.resize(scaled(*picture.size, size), Image.Resampling.LANCZOS)


def scaled(width: int, height: int, size: int) -> tuple[int, int]:
    """Width and height of a picture whose longer side is made ``size`` pixels long."""
    longer = max(width, height)
    return max(1, round(width * size / longer)), max(1, round(height * size / longer))


def outline(picture: Image.Image, box: Box, region: Box) -> Image.Image:
    """Draw a box on a picture of a region; both are in pixels of the original. Lines are thicker on larger pictures."""
    sx, sy = picture.width / region.width, picture.height / region.height
    left, top = round((box.left - region.left) * sx), round((box.top - region.top) * sy)
    right, bottom = round((box.right - region.left) * sx) - 1, round((box.bottom - region.top) * sy) - 1
    marked = picture.copy()
    draw = ImageDraw.Draw(marked)
    thick = max(1, max(picture.size) // _OUTLINED)
    for inset, colour in zip((0, thick), _OUTLINE, strict=True):
        if right - left > 2 * inset and bottom - top > 2 * inset:
            draw.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=colour, width=thick)
    return marked


def encode(picture: Image.Image, format: Literal["JPEG", "PNG"]) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    if format == "JPEG":
        picture.save(buffer, "JPEG", quality=90, subsampling=0)
    else:
        picture.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
