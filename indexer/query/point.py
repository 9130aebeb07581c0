"""Which neurons fire at a point of a picture: in each layer, at the cell that looks there.

Fields overlap, so many cells see a point. The one meant is the cell whose receptive field, before it is clipped to the
input, has its centre nearest to the point; of two equally near, the upper and the left one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.query.index import Index
from indexer.query.records import Firing, ImageRecord, Page
from indexer.receptive_field.centres import cell_centres


@dataclass(frozen=True, slots=True)
class Spot:
    """The cell of a layer at a point, its receptive field in pixels of the original, and the neurons firing there.

    ``effective_box`` is its effective receptive field, sampled; None where none was measured.
    """

    layer: str
    y: int
    x: int
    box: Box
    firing: Page[Firing]
    effective_box: Box | None = None


def cell_at(index: Index, layer: str, width: int, height: int, point: tuple[float, float]) -> tuple[int, int]:
    """The cell (y, x) whose receptive field's centre is nearest to a point (x, y) of a picture of this size.

    Coordinates are continuous: pixel i spans i..i+1.

    Raises
    ------
    NotFound
    InvalidRequest
        The point is outside the picture.
    """
    info = index.layer(layer).info
    if not (0 <= point[0] <= width and 0 <= point[1] <= height):
        raise InvalidRequest(f"the point must lie on the image of {width} x {height} pixels, not at {point}")
    placement = index.manifest.configuration.preprocessing.placement(width, height)
    centres_y = cell_centres(info.field.y, info.height, placement.y.cropped)
    centres_x = cell_centres(info.field.x, info.width, placement.x.cropped)
    y = int(np.abs(centres_y - placement.y.to_input(point[1])).argmin())
    x = int(np.abs(centres_x - placement.x.to_input(point[0])).argmin())
    return y, x


def at_point(
    index: Index, image: int, point: tuple[float, float], layers: Iterable[str], *, fraction: float | None, limit: int
) -> list[Spot]:
    """What fires at a point (x, y), in pixels, of an indexed image: a spot for each of ``layers``.

    Raises
    ------
    NotFound, InvalidRequest
    """
    record = index.image(image)
    maps = ((layer, index.activation_maps(image, layer)) for layer in layers)
    return [
        _spot(index, layer, of_layer, record, (record.width, record.height), point, fraction, limit)
        for layer, of_layer in maps
    ]


def at_point_on(
    index: Index,
    maps: dict[str, np.ndarray],
    size: tuple[int, int],
    point: tuple[float, float],
    *,
    fraction: float | None,
    limit: int,
) -> list[Spot]:
    """As `at_point`, for a picture of this (width, height) that is not indexed; ``maps`` are (C, H, W) by layer.

    Raises
    ------
    NotFound, InvalidRequest
    """
    return [_spot(index, layer, of_layer, None, size, point, fraction, limit) for layer, of_layer in maps.items()]


def _spot(
    index: Index,
    layer: str,
    maps: np.ndarray,
    image: ImageRecord | None,
    size: tuple[int, int],
    point: tuple[float, float],
    fraction: float | None,
    limit: int,
) -> Spot:
    y, x = cell_at(index, layer, *size, point)
    values = maps[:, y, x].astype(np.float32)
    firing = index.neurons_firing_at(layer, values, y, x, image, size, fraction=fraction, limit=limit)
    return Spot(
        layer, y, x, index.box_in(*size, layer, y, x), firing, index.effective_box_in(*size, layer, y, x)
    )  # fmt: skip
