"""The positions of all parts of a contact sheet. This module computes geometry only; it reads and draws nothing.

1. ``view_of(box, context, width, height)`` is the part of a picture that a tile shows.
2. ``lay_out(lines, columns, size, title, measure)`` gives the positions of a sheet's lines, tiles, labels and rules.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from indexer.images.geometry import Box

Measure = Callable[[str, int], float]
"""A text and the height of its font in pixels -> the width of the text in pixels."""


@dataclass(frozen=True)
class Line:
    """The texts to the left of a line of tiles. A rule is drawn above a line that starts a neuron."""

    label: str
    note: str
    starts: bool = True


@dataclass(frozen=True)
class Layout:
    """The positions of a sheet's parts, in pixels.

    Attributes
    ----------
    width, height : int
    fonts : (int, int)
        Height of the font of labels, and of the font of notes and numbers.
    label_x : int
        The left end of the labels.
    header_y : int
        The middle of the header's text.
    columns : tuple of int
        The middle of each column.
    label_y, note_y : tuple of int
        The middle of the texts of each line.
    rules : tuple of int
        Heights at which rules are drawn, the header's first.
    tiles : tuple of tuple of Box
        The square of each tile, by line.
    """

    width: int
    height: int
    fonts: tuple[int, int]
    label_x: int
    header_y: int
    columns: tuple[int, ...]
    label_y: tuple[int, ...]
    note_y: tuple[int, ...]
    rules: tuple[int, ...]
    tiles: tuple[tuple[Box, ...], ...]


def view_of(box: Box, context: float, width: int, height: int) -> Box:
    """A square around a box, wider than the box's longer side by ``context`` times that side, on each side.

    The square is moved to lie within a picture of this size, and cut if the picture is smaller. It always holds the
    box.
    """
    side = round(max(box.width, box.height) * (1 + 2 * context))
    left, right = _span(box.left, box.right, side, width)
    top, bottom = _span(box.top, box.bottom, side, height)
    return Box(left, top, right, bottom)


def _span(first: int, end: int, side: int, length: int) -> tuple[int, int]:
    side = min(side, length)
    start = min(max((first + end - side) // 2, 0), length - side)
    return start, start + side


def lay_out(lines: Sequence[Line], columns: int, size: int, title: str, measure: Measure) -> Layout:
    """Lay out lines of ``columns`` square tiles of ``size`` pixels, to the right of their labels and below a header."""
    large, small = max(12, round(size * 0.17)), max(10, round(size * 0.115))
    margin, gap, space = max(8, size // 8), max(2, size // 28), max(6, size // 12)
    texts = [(title, small)] + [pair for line in lines for pair in ((line.label, large), (line.note, small))]
    start = margin + round(max(measure(*text) for text in texts)) + margin
    left = [start + column * (size + gap) for column in range(columns)]
    y = margin + round(1.6 * small)
    rules, tiles, middles = [y], [], []
    y += space
    for number, line in enumerate(lines):
        if number:
            y += gap
        if number and line.starts:
            rules.append(y - gap + space // 2 + 1)
            y += space - gap + 1
        tiles.append(tuple(Box(x, y, x + size, y + size) for x in left))
        middles.append(y + size // 2)
        y += size
    return Layout(
        width=left[-1] + size + margin,
        height=y + margin,
        fonts=(large, small),
        label_x=margin,
        header_y=margin + small // 2,
        columns=tuple(x + size // 2 for x in left),
        label_y=tuple(m - round(0.55 * small) if line.note else m for m, line in zip(middles, lines, strict=True)),
        note_y=tuple(m + round(0.65 * large) if line.label else m for m, line in zip(middles, lines, strict=True)),
        rules=tuple(rules),
        tiles=tuple(tiles),
    )
