"""A contact sheet as pixels, or as SVG whose texts stay text."""

import base64
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal
from xml.sax.saxutils import escape

from PIL import Image, ImageDraw, ImageFont

from indexer.defaults import SHEET_FORMATS
from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.pictures.crop import encode
from indexer.pictures.sheet import Sheet
from indexer.pictures.sheet_layout import Layout, lay_out

DOTS_PER_INCH = 300
_INK, _GREY, _RULE, _PLATE, _PAPER = (20, 20, 20), (110, 110, 110), (210, 210, 210), (35, 35, 35), (255, 255, 255)
_ANCHORS = {"l": "start", "m": "middle", "r": "end"}


@dataclass(frozen=True)
class Text:
    """A text whose middle is at height ``y``; ``x`` is its left (l), middle (m) or right (r) end."""

    x: int
    y: int
    text: str
    size: int
    anchor: Literal["l", "m", "r"]
    colour: tuple[int, int, int]


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def layout_of(sheet: Sheet) -> Layout:
    """The positions of all parts of a sheet."""
    return lay_out(sheet.lines, sheet.columns, sheet.size, sheet.title, lambda text, size: _font(size).getlength(text))


def raster(sheet: Sheet) -> Image.Image:
    """Draw a sheet: an RGB picture."""
    layout = layout_of(sheet)
    page = Image.new("RGB", (layout.width, layout.height), _PAPER)
    draw = ImageDraw.Draw(page)
    for x0, x1, y in _rules(layout):
        draw.line((x0, y, x1, y), fill=_RULE)
    for text in _texts(sheet, layout):
        draw.text((text.x, text.y), text.text, text.colour, _font(text.size), anchor=f"{text.anchor}m")
    for frame, picture, plate, corner in _tiles(sheet, layout):
        draw.rectangle((frame.left - 1, frame.top - 1, frame.right, frame.bottom), outline=_RULE)
        page.paste(picture, (frame.left, frame.top))
        page.paste(_PLATE, (plate.left, plate.top, plate.right, plate.bottom))
        draw.text((corner.x, corner.y), corner.text, corner.colour, _font(corner.size), anchor="mm")
    return page


def svg(sheet: Sheet) -> str:
    """Draw a sheet as SVG: crops as embedded JPEGs, texts as text and rules as paths."""
    layout = layout_of(sheet)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width} {layout.height}" '
        f'width="{layout.width}" height="{layout.height}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="100%" height="100%" fill="{_hex(_PAPER)}"/>',
    ]
    parts += [f'<path d="M{x0} {y + 0.5}H{x1}" stroke="{_hex(_RULE)}"/>' for x0, x1, y in _rules(layout)]
    parts += [_svg_text(text) for text in _texts(sheet, layout)]
    for frame, picture, plate, corner in _tiles(sheet, layout):
        data = base64.b64encode(encode(picture, "JPEG")).decode()
        parts.append(
            f'<rect {_svg_box(frame)} stroke="{_hex(_RULE)}"/><image {_svg_box(frame)} '
            f'href="data:image/jpeg;base64,{data}"/>'
            f'<rect {_svg_box(plate)} fill="{_hex(_PLATE)}"/>{_svg_text(corner)}'
        )
    return "\n".join([*parts, "</svg>\n"])


def save(sheet: Sheet, path: Path) -> None:
    """Write a sheet as PNG, JPEG, PDF (pixels at 300 dpi) or SVG, according to the ending of the file's name.

    Raises
    ------
    InvalidRequest
        The name has another ending, or the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in SHEET_FORMATS:
        raise InvalidRequest(f"the file's name must end in one of {', '.join(SHEET_FORMATS)}, not {path.name!r}")
    try:
        path.write_bytes(svg(sheet).encode() if kind == ".svg" else _pixels(sheet, kind))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from error


def _pixels(sheet: Sheet, kind: str) -> bytes:
    page, buffer = raster(sheet), io.BytesIO()
    if kind == ".pdf":
        page.save(buffer, "PDF", resolution=DOTS_PER_INCH, quality=92, subsampling=0)
    elif kind == ".png":
        page.save(buffer, "PNG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH), optimize=True)
    else:
        page.save(buffer, "JPEG", dpi=(DOTS_PER_INCH, DOTS_PER_INCH), quality=90, subsampling=0)
    return buffer.getvalue()


def _rules(layout: Layout) -> Iterator[tuple[int, int, int]]:
    for y in layout.rules:
        yield layout.label_x, layout.tiles[0][-1].right, y


def _texts(sheet: Sheet, layout: Layout) -> Iterator[Text]:
    large, small = layout.fonts
    yield Text(layout.label_x, layout.header_y, sheet.title, small, "l", _GREY)
    heads = sheet.heads or [str(number) for number in range(1, sheet.columns + 1)]
    for head, x in zip(heads, layout.columns, strict=True):
        yield Text(x, layout.header_y, head, small, "m", _GREY)
    for line, label_y, note_y in zip(sheet.lines, layout.label_y, layout.note_y, strict=True):
        if line.label:
            yield Text(layout.label_x, label_y, line.label, large, "l", _INK)
        yield Text(layout.label_x, note_y, line.note, small, "l", _GREY)


def _tiles(sheet: Sheet, layout: Layout) -> Iterator[tuple[Box, Image.Image, Box, Text]]:
    """The frame and the picture of each tile, and the plate in its corner with the text on it."""
    size = layout.fonts[1]
    for tiles, squares in zip(sheet.tiles, layout.tiles, strict=True):
        for tile, square in zip(tiles, squares, strict=False):
            left = square.left + (square.width - tile.picture.width) // 2
            top = square.top + (square.height - tile.picture.height) // 2
            frame = Box(left, top, left + tile.picture.width, top + tile.picture.height)
            width = round(_font(size).getlength(tile.text)) + size // 2
            plate = Box(left, top, left + width, top + round(1.3 * size)).intersect(frame)
            corner = Text(
                (plate.left + plate.right) // 2, (plate.top + plate.bottom) // 2, tile.text, size, "m", _PAPER
            )
            yield frame, tile.picture, plate, corner


def _svg_box(box: Box) -> str:
    return f'x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}"'


def _svg_text(text: Text) -> str:
    anchor = f'text-anchor="{_ANCHORS[text.anchor]}" dominant-baseline="central"'
    return (
        f'<text x="{text.x}" y="{text.y}" font-size="{text.size}" fill="{_hex(text.colour)}" {anchor}>'
        f"{escape(text.text)}</text>"
    )


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
