"""Questions about a layer's atlas: its points, those to show of a part of it, and what tells some from the rest."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.derive.carried.atlas import Atlas
from indexer.errors import InvalidRequest
from indexer.query.cells import vectors_at
from indexer.query.deadline import check
from indexer.query.index import Index
from indexer.query.records import ImageRecord
from indexer.query.searching.concepts import Selective, compared_cells

MOST_CORNERS: Final = 500
"""Corners of the polygon around a selection."""
COMPARED: Final = 300
"""Cells inside, and as many outside, that are compared."""
_DIRECTION: Final = 16


@dataclass(frozen=True)
class Points:
    """The points of an atlas whose images the index has.

    Attributes
    ----------
    numbers : ndarray (P,) int64
        Their numbers in the atlas.
    rows : ndarray (P,) int64
        Rows of the image table.
    images : ndarray (P,) int64
    cells : ndarray (P,) uint32
        y * W + x.
    layout : ndarray (P, 2) float32
        x and y, 0 to 1.
    neurons : ndarray (P,) int32
        The neuron with the highest share of its own highest activation; -1 where none is positive.
    classes : ndarray (P,) int32
        The code of the image's class, -1 for none.
    """

    numbers: np.ndarray
    rows: np.ndarray
    images: np.ndarray
    cells: np.ndarray
    layout: np.ndarray
    neurons: np.ndarray
    classes: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def first(self, count: int | None) -> "Points":
        """So many points, a sample by lot of all; or all."""
        return Points(*(getattr(self, name)[:count] for name in self.__annotations__))


@dataclass(frozen=True, slots=True)
class AtlasPoint:
    """A point of an atlas: where it lies, and which cell (row and column of the map) of which image it is."""

    layout: tuple[float, float]
    image: ImageRecord
    y: int
    x: int
    neuron: int | None


@dataclass(frozen=True)
class Selection:
    """What tells the points within a polygon from the other points.

    Attributes
    ----------
    points, images : int
        How many there are within, exactly.
    classes : list of (str or None, int)
        How many points within are of images of each class, descending.
    inside, outside : int
        How many cells were compared, drawn by lot.
    neurons : list of Selective
        By ``difference``: mean inside less mean outside, in standard deviations of the neuron over the index.
    direction : dict of int to float
        Neuron to weight, for a search: the highest differences that are positive.
    """

    points: int
    images: int
    classes: list[tuple[str | None, int]]
    inside: int
    outside: int
    neurons: list[Selective]
    direction: dict[int, float]


def points_of(index: Index, layer: str) -> Points:
    """The points of a layer's atlas, those of removed images left out; kept for as long as the index is open.

    Raises
    ------
    NotFound, DamagedFile
    """
    return index.once(("atlas points", layer), lambda: _points(index, index.atlas(layer)))


def _points(index: Index, atlas: Atlas) -> Points:
    ids = np.asarray(index.images.id)
    rows = np.minimum(np.searchsorted(ids, atlas.images), max(0, len(ids) - 1))
    numbers = np.flatnonzero(ids[rows] == atlas.images) if len(ids) else np.empty(0, np.int64)
    rows = rows[numbers]
    return Points(
        numbers, rows, atlas.images[numbers], atlas.cells[numbers], atlas.layout[numbers], atlas.neurons[numbers],
        np.asarray(index.images.class_code)[rows],
    )  # fmt: skip


def spread(
    index: Index, layer: str, left: float, top: float, right: float, bottom: float, columns: int, rows: int
) -> list[AtlasPoint]:
    """For each cell of a grid over a part of an atlas, the point in it that is nearest to its middle.

    Raises
    ------
    NotFound, DamagedFile
    InvalidRequest
        The part has no width or no height.
    """
    points = points_of(index, layer)
    chosen = nearest_to_grid(points.layout, (left, top, right, bottom), columns, rows)
    return _atlas_points(index, layer, points, chosen)


def nearest_to_grid(
    layout: np.ndarray, part: tuple[float, float, float, float], columns: int, rows: int
) -> np.ndarray:  # fmt: skip
    """For each cell of a grid over a part (left, top, right, bottom), the point of (P, 2) nearest to its middle.

    Raises
    ------
    InvalidRequest
        The part has no width or no height.
    """
    left, top, right, bottom = part
    if not (left < right and top < bottom):
        raise InvalidRequest("a part of an atlas needs left < right and top < bottom")
    scaled = (layout - (left, top)) / (right - left, bottom - top) * (columns, rows)
    within = np.flatnonzero(((scaled >= 0) & (scaled < (columns, rows))).all(axis=1))
    scaled = scaled[within]
    grid = np.floor(scaled).astype(np.int64)
    order = np.lexsort((np.square(scaled - grid - 0.5).sum(axis=1), grid[:, 1] * columns + grid[:, 0]))
    numbers = (grid[:, 1] * columns + grid[:, 0])[order]
    chosen: np.ndarray = within[order[np.diff(numbers, prepend=-1) > 0]]
    return chosen


def _atlas_points(index: Index, layer: str, points: Points, chosen: np.ndarray) -> list[AtlasPoint]:
    width = index.layer(layer).info.width
    shown = []
    for number in chosen.tolist():
        y, x = divmod(int(points.cells[number]), width)
        neuron = int(points.neurons[number])
        at = (float(points.layout[number, 0]), float(points.layout[number, 1]))
        shown.append(AtlasPoint(at, index.image(int(points.images[number])), y, x, None if neuron < 0 else neuron))
    return shown


def select(index: Index, layer: str, polygon: list[tuple[float, float]], limit: int = 20) -> Selection:
    """What tells the points of an atlas within a polygon from the others.

    Parameters
    ----------
    polygon : list of (float, float)
        Its corners, x and y, 3 to 500; it may cross itself: a point counts that an odd number of turns goes around.
    limit : int
        How many neurons to give.

    Raises
    ------
    NotFound, DamagedFile
    InvalidRequest
        No point, or every one, lies within.
    """
    points = points_of(index, layer)
    inside = chosen_by(points.layout, polygon)
    if not inside.any() or inside.all():
        which = "none" if not inside.any() else "all"
        raise InvalidRequest(f"{which} of the {len(points)} points lie within the polygon, so there is no comparison")
    rng = np.random.default_rng(0)
    drawn = [np.sort(rng.permutation(np.flatnonzero(side))[:COMPARED]) for side in (inside, ~inside)]
    here, rest = (vectors_at(index, layer, points.rows[side], points.cells[side]) for side in drawn)
    neurons = compared_cells(index.layer(layer), here.T, rest.T)
    names = index.classes
    counted = Counter(points.classes[inside].tolist())
    return Selection(
        points=int(inside.sum()),
        images=len(np.unique(points.rows[inside])),
        classes=[(names[code] if code >= 0 else None, count) for code, count in counted.most_common()],
        inside=len(here),
        outside=len(rest),
        neurons=neurons[:limit],
        direction={item.neuron: item.difference for item in neurons[:_DIRECTION] if item.difference > 0},
    )


def chosen_by(layout: np.ndarray, polygon: list[tuple[float, float]]) -> np.ndarray:
    """As `within`, of a polygon that somebody drew.

    Raises
    ------
    InvalidRequest
        It has too few or too many corners.
    """
    if not 3 <= len(polygon) <= MOST_CORNERS:
        raise InvalidRequest(f"a polygon has 3 to {MOST_CORNERS} corners, not {len(polygon)}")
    return within(layout, np.array(polygon, np.float64))


def within(layout: np.ndarray, polygon: np.ndarray) -> np.ndarray:
    """Which points (P,) bool of (P, 2) lie within a polygon (n, 2), by the even-odd rule."""
    inside = np.zeros(len(layout), bool)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    near = np.flatnonzero(((layout >= low) & (layout <= high)).all(axis=1))
    x, y = layout[near].astype(np.float64).T
    crossed = np.zeros(len(near), bool)
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        check()
        if y0 != y1:
            crossed ^= ((y0 > y) != (y1 > y)) & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    inside[near] = crossed
    return inside
