"""Receptive fields in pixels of the originals, worked out once for what pictures share; and effective ones."""

from functools import lru_cache
from typing import Final

from indexer.images.geometry import Box
from indexer.images.preprocessing import Preprocessing
from indexer.receptive_field import AxisField, ReceptiveField
from indexer.receptive_field.effective import EffectiveField

_KEPT: Final = 1 << 14
"""Sizes of pictures, and rows or columns of cells on them, that are remembered."""


class Boxes:
    """The boxes of one layer's cells on pictures of any size.

    A box is a span of rows and a span of columns. Pictures come in few sizes, and a map has few rows and columns, so
    most spans that a page asks for are known from earlier ones.
    """

    def __init__(self, field: ReceptiveField, preprocessing: Preprocessing) -> None:
        placement = lru_cache(_KEPT)(preprocessing.placement)
        rows, columns = field.y, field.x
        self._known = rows is not None and columns is not None

        @lru_cache(_KEPT)
        def span_y(width: int, height: int, y: int) -> tuple[int, int]:
            return placement(width, height).y.to_original(*_interval(rows, y))

        @lru_cache(_KEPT)
        def span_x(width: int, height: int, x: int) -> tuple[int, int]:
            return placement(width, height).x.to_original(*_interval(columns, x))

        self._span_y, self._span_x = span_y, span_x

    def of(self, width: int, height: int, y: int, x: int) -> Box:
        """The box of a cell on a picture of this size; the whole picture where the field is not known."""
        if not self._known:
            return Box(0, 0, width, height)
        top, bottom = self._span_y(width, height, y)
        left, right = self._span_x(width, height, x)
        return Box(left, top, right, bottom)


class EffectiveBoxes:
    """The effective fields of one layer's cells on pictures of any size."""

    def __init__(self, field: EffectiveField, preprocessing: Preprocessing) -> None:
        self.field = field
        placement = lru_cache(_KEPT)(preprocessing.placement)

        @lru_cache(_KEPT)
        def of(width: int, height: int, y: int, x: int) -> Box:
            return placement(width, height).to_original(field.box(y, x))

        self.of = of


def _interval(axis: AxisField | None, cell: int) -> tuple[int, int]:
    assert axis is not None
    return axis.intervals[cell]
