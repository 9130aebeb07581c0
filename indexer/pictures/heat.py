"""A neuron's map laid over a picture: where on it the neuron is active."""

import numpy as np
from PIL import Image

from indexer.images.geometry import Box
from indexer.images.preprocessing import AxisPlacement, Placement
from indexer.receptive_field import AxisField, ReceptiveField
from indexer.receptive_field.centres import cell_centres

_RAMP = np.array([[68, 1, 84], [187, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
"""Colours from low to high; they differ in lightness too, so that they read without colour vision."""
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
        Shows the region, RGB, at any size; what is drawn is of the same.
    map_ : ndarray (H, W)
    field : ReceptiveField
        Of the layer; where it is not known, cells are taken to tile the input.
    placement : Placement
        Of the original on the input; what the network does not see of it gets no colour.
    region : Box
        In pixels of the original.
    highest : float
        Gets the last colour; 0 and below get none.
    """
    rows = _weights(field.y, map_.shape[0], placement.y, region.top, region.bottom, picture.height)
    columns = _weights(field.x, map_.shape[1], placement.x, region.left, region.right, picture.width)
    values = map_.astype(np.float64)
    drawn, step = picture.copy(), max(1, STRIP_PIXELS // picture.width)
    for first in range(0, picture.height, step):  # all at once would take 80 bytes a pixel
        heat = (rows[first : first + step] @ values @ columns.T).astype(np.float32)
        strip = picture.crop((0, first, picture.width, first + len(heat)))
        drawn.paste(_coloured(strip, heat, highest), (0, first))
    return drawn


def _weights(axis: AxisField | None, cells: int, place: AxisPlacement, first: int, end: int, shown: int) -> np.ndarray:
    """How much each cell counts, (shown, cells), where so many pixels show the original's [first, end)."""
    centres = cell_centres(axis, cells, place.cropped)
    pixels = place.to_input(first + (np.arange(shown) + 0.5) * (end - first) / shown)
    weights = np.stack([np.interp(pixels, centres, unit) for unit in np.eye(cells)], axis=1)
    return weights * ((pixels >= 0) & (pixels <= place.cropped))[:, None]


def _coloured(picture: Image.Image, heat: np.ndarray, highest: float) -> Image.Image:
    """A picture coloured by heat (h, w) of its own size."""
    share = np.clip(heat / highest, 0, 1) if highest > 0 else np.zeros_like(heat)
    steps = np.linspace(0, 1, len(_RAMP))
    colours = np.stack([np.interp(share, steps, _RAMP[:, channel]) for channel in range(3)], axis=2)
    alpha = (share * _OPACITY)[:, :, None]
    return Image.fromarray(np.round(np.asarray(picture) * (1 - alpha) + colours * alpha).astype(np.uint8))
