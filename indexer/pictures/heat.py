"""A neuron's map laid over a picture, to show where the neuron is active."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from indexer.images.geometry import Box
from indexer.images.preprocessing import AxisPlacement, Placement
from indexer.receptive_field import AxisField, ReceptiveField
from indexer.receptive_field.centres import cell_centres

_RAMP = np.array([[68, 1, 84], [187, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
"""Colours from low to high. They also differ in lightness, so that people without colour vision can tell them apart."""
_OPACITY = 0.75
STRIP_PIXELS = 1 << 18
"""Pixels that are coloured at a time."""


def lay_over(
    picture: Image.Image,
    map_: np.ndarray,
    field: ReceptiveField,
    placement: Placement,
    region: Box,
    highest: float,
) -> Image.Image:
    """Colour a picture by a map, interpolated between the centres of its cells' receptive fields.

    Parameters
    ----------
    picture : Image
        Shows the region, RGB, at any size. The result has the same size.
    map_ : ndarray (H, W)
    field : ReceptiveField
        The layer's receptive field. If it is not known, cells are taken to tile the input.
    placement : Placement
        Where the original lies on the input. Parts that the network does not see get no colour.
    region : Box
        The region, in pixels of the original.
    highest : float
        The value that gets the last colour. Values of 0 and below get none.
    """
    return draw_over(picture, map_, field, placement, region, lambda strip, heat: _coloured(strip, heat, highest))


def draw_over(
    picture: Image.Image,
    map_: np.ndarray,
    field: ReceptiveField,
    placement: Placement,
    region: Box,
    draw: Callable[[Image.Image, np.ndarray], Image.Image],
) -> Image.Image:
    """A picture drawn anew, a strip at a time, by its pixels and the map's values there.

    The parameters are those of `lay_over`. ``draw`` gets a strip and the interpolated values (h, w) float32 of its
    pixels, 0 where the network does not see, and gives a picture of the same size.
    """
    rows = _weights(field.y, map_.shape[0], placement.y, region.top, region.bottom, picture.height)
    columns = _weights(field.x, map_.shape[1], placement.x, region.left, region.right, picture.width)
    values = map_.astype(np.float64)
    drawn, step = picture.copy(), max(1, STRIP_PIXELS // picture.width)
    for first in range(0, picture.height, step):  # strip by strip: all at once would take 80 bytes a pixel
        heat = (rows[first : first + step] @ values @ columns.T).astype(np.float32)
        strip = picture.crop((0, first, picture.width, first + len(heat)))
        drawn.paste(draw(strip, heat), (0, first))
    return drawn


def _weights(
    axis: AxisField | None, cells: int, placement: AxisPlacement, first: int, end: int, shown: int
) -> np.ndarray:
    """Weights (shown, cells) of the cells for ``shown`` pixels that show the original's interval [first, end)."""
    centres = cell_centres(axis, cells, placement.cropped)
    pixels = placement.to_input(first + (np.arange(shown) + 0.5) * (end - first) / shown)
    weights = np.stack([np.interp(pixels, centres, unit) for unit in np.eye(cells)], axis=1)
    return weights * ((pixels >= 0) & (pixels <= placement.cropped))[:, None]


def _coloured(picture: Image.Image, heat: np.ndarray, highest: float) -> Image.Image:
    """A picture coloured by heat (h, w) of its own size."""
    share = np.clip(heat / highest, 0, 1) if highest > 0 else np.zeros_like(heat)
    steps = np.linspace(0, 1, len(_RAMP))
    colours = np.stack([np.interp(share, steps, _RAMP[:, channel]) for channel in range(3)], axis=2)
    alpha = (share * _OPACITY)[:, :, None]
    return Image.fromarray(np.round(np.asarray(picture) * (1 - alpha) + colours * alpha).astype(np.uint8))
