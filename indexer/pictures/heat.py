"""A neuron's map laid over a picture: where on it the neuron is active."""

import numpy as np
from PIL import Image

from indexer.images.geometry import Box
from indexer.images.preprocessing import AxisPlacement, Placement
from indexer.receptive_field import AxisField, ReceptiveField

_RAMP = np.array([[68, 1, 84], [187, 55, 84], [249, 142, 9], [252, 255, 164]], np.float64)
"""Colours from low to high; they differ in lightness too, so that they read without colour vision."""
_OPACITY = 0.75


def heat_in_original(map_: np.ndarray, field: ReceptiveField, placement: Placement, region: Box) -> np.ndarray:
    """Interpolate a map between the centres of its cells' receptive fields.

    Parameters
    ----------
    map_ : ndarray (H, W)
    field : ReceptiveField
        Of the layer; where it is not known, cells are taken to tile the input.
    placement : Placement
        Of the picture on the input.
    region : Box
        Which pixels of the original are wanted.

    Returns
    -------
    ndarray (region.height, region.width) float32
        0 where the network does not see the pixel.
    """
    rows = _weights(field.y, map_.shape[0], placement.y, region.top, region.bottom)
    columns = _weights(field.x, map_.shape[1], placement.x, region.left, region.right)
    return (rows @ map_.astype(np.float64) @ columns.T).astype(np.float32)


def _weights(axis: AxisField | None, cells: int, place: AxisPlacement, first: int, end: int) -> np.ndarray:
    centres = cell_centres(axis, cells, place.cropped)
    pixels = np.array([place.to_input(pixel + 0.5) for pixel in range(first, end)])
    weights = np.stack([np.interp(pixels, centres, unit) for unit in np.eye(cells)], axis=1)
    return weights * ((pixels >= 0) & (pixels <= place.cropped))[:, None]


def cell_centres(axis: AxisField | None, cells: int, length: int) -> np.ndarray:
    """Centres of receptive fields along an axis, in input pixels; where it is not known, of equal parts of it."""
    if axis is None:
        return (np.arange(cells) + 0.5) * length / cells
    if axis.size is not None and axis.stride is not None and axis.start is not None:
        return axis.start + axis.size / 2 + axis.stride * np.arange(cells, dtype=np.float64)
    return np.array([(first + end) / 2 for first, end in axis.intervals])


def overlay(picture: Image.Image, heat: np.ndarray, highest: float) -> Image.Image:
    """Colour a picture by heat (h, w) of its own size; ``highest`` gets the last colour, 0 and below none."""
    share = np.clip(heat / highest, 0, 1) if highest > 0 else np.zeros_like(heat)
    steps = np.linspace(0, 1, len(_RAMP))
    colours = np.stack([np.interp(share, steps, _RAMP[:, channel]) for channel in range(3)], axis=2)
    alpha = (share * _OPACITY)[:, :, None]
    return Image.fromarray(np.round(np.asarray(picture) * (1 - alpha) + colours * alpha).astype(np.uint8))
