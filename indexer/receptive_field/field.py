"""Receptive fields as values: intervals of input pixels per cell, boxes, JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.receptive_field.layout import Layout

Kind = Literal["exact", "measured", "whole input", "unsupported"]
KIND_WORDS = {"unsupported": "unknown"}
"""How a kind is called where people read it, if not by its own name."""


@dataclass(frozen=True)
class AxisField:
    """The receptive fields of a layer's cells along one axis.

    Attributes
    ----------
    intervals : tuple of (int, int)
        Per cell index: the input pixels [first, end) that can influence it, clipped to the input.
        A cell that sees nothing but padding has an interval of no pixels, (0, 0).
    size, stride, start : int or None
        The arithmetic of the same axis on an input without borders: cell i sees the pixels
        [start + i * stride, start + i * stride + size). None where the axis is not such a progression.
        Near a border `intervals` is what holds, and may be less than the clipped progression.
    """

    intervals: tuple[tuple[int, int], ...]
    size: int | None = None
    stride: int | None = None
    start: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "intervals": [list(interval) for interval in self.intervals],
            "size": self.size,
            "stride": self.stride,
            "start": self.start,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        intervals = tuple((int(first), int(end)) for first, end in data["intervals"])
        return cls(intervals, data["size"], data["stride"], data["start"])


@dataclass(frozen=True)
class ReceptiveField:
    """Which input pixels can influence the cells of a layer.

    Attributes
    ----------
    kind : str
        "exact": `y` and `x` are the field. "measured": they are what was seen to have influence, and the reason says
        how. "whole input": some path lets every cell see the whole map, and `y` and
        `x` are the field without that path. "unsupported": the field is not known.
    reason : str or None
        Why the kind is not "exact".
    y, x : AxisField or None
        Rows and columns, in network input pixels. Both None where the layer is not a map or the field is not known.
    """

    kind: Kind
    reason: str | None
    y: AxisField | None
    x: AxisField | None

    def box(self, y: int, x: int) -> Box | None:
        """The box of cell (y, x) in network input pixels; None where the field is not known.

        Raises
        ------
        InvalidRequest
            The layer has no such cell.
        """
        if self.y is None or self.x is None:
            return None
        height, width = len(self.y.intervals), len(self.x.intervals)
        if not (0 <= y < height and 0 <= x < width):
            raise InvalidRequest(
                f"there is no cell y={y}, x={x}: the map has {height} rows and {width} columns, counted from 0"
            )
        (top, bottom), (left, right) = self.y.intervals[y], self.x.intervals[x]
        return Box(left, top, right, bottom)

    @property
    def words(self) -> str:
        """The kind and why, for a person."""
        kind = KIND_WORDS.get(self.kind, self.kind)
        return f"{kind}: {self.reason}" if self.reason else kind

    def to_json(self) -> dict[str, Any]:
        """Plain dicts, lists, strings, integers and None."""
        return {
            "kind": self.kind,
            "reason": self.reason,
            "y": self.y.to_json() if self.y else None,
            "x": self.x.to_json() if self.x else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        y, x = (AxisField.from_json(data[axis]) if data[axis] else None for axis in ("y", "x"))
        return cls(data["kind"], data["reason"], y, x)


@dataclass(frozen=True)
class LayerTrace:
    """What tracing says about one layer.

    Attributes
    ----------
    field : ReceptiveField
    dims : tuple of str
        What each dimension of the layer's output is: "N" images, "C" channels, "y" rows, "x" columns, "token" a list
        of places, "?" anything else. ("N", "C", "y", "x") for most maps, ("N", "y", "x", "C") for Swin's, ("N", "C")
        for vectors.
    layout : Layout or None
        What a person has said of the dimensions.
    """

    field: ReceptiveField
    dims: tuple[str, ...]
    layout: Layout | None = None
