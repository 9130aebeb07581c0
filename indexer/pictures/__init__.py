"""Pictures of the answers to questions: patches, whole images, heat maps."""

import numpy as np
from PIL import Image

from indexer.defaults import Field
from indexer.images.geometry import Box
from indexer.pictures.crop import crop, encode, outline, region_around, scale
from indexer.pictures.heat import lay_over
from indexer.pictures.mask import PatchMask
from indexer.query.index import Index
from indexer.query.records import ImageRecord

__all__ = ["encode", "heat_map", "heat_map_of", "patch", "whole"]


def patch(
    index: Index,
    image: ImageRecord,
    layer: str,
    y: int,
    x: int,
    *,
    size: int | None = None,
    context: float = 0.0,
    outlined: bool = False,
    heat: int | None = None,
    field: Field = "exact",
    mask: PatchMask | None = None,
) -> Image.Image:
    """The patch of a cell, cut out of the original at full resolution.

    Parameters
    ----------
    size : int, optional
        Length of the longer side in pixels; by default the original pixels.
    context : float
        How much to show around the patch, on each side: this factor times the patch's own sides.
    outlined : bool
        Outline the field.
    heat : int, optional
        Lay the map of this neuron over it, on the scale of the neuron's highest activation in the index.
    field : {"exact", "effective"}
        Show the receptive field, or the effective one, which is sampled.
    mask : callable, optional
        Darkens what does not matter to a neuron at this cell; see `indexer.pictures.mask`.

    Raises
    ------
    NotFound, InvalidRequest, ImageUnavailable
    """
    box = index.field_box(image, layer, y, x, field)
    region = region_around(box, context, image.width, image.height)
    return _picture(index, image, layer, region, size, heat, box if outlined else None, mask)


def whole(index: Index, image: ImageRecord, *, size: int | None = None) -> Image.Image:
    """The whole picture, upright, RGB; see `patch`."""
    return scale(index.picture(image), size)


def heat_map(index: Index, image: ImageRecord, layer: str, neuron: int, *, size: int | None = None) -> Image.Image:
    """The whole picture with a neuron's map laid over it; see `patch`."""
    return _picture(index, image, layer, Box(0, 0, image.width, image.height), size, neuron, None)


def heat_map_of(
    index: Index, picture: Image.Image, map_: np.ndarray, layer: str, neuron: int, *, size: int | None = None
) -> Image.Image:
    """Like `heat_map`, for an RGB picture that is not in the index and the neuron's map (H, W) on it."""
    return _heated(index, scale(picture, size), map_, layer, neuron, picture.size, Box(0, 0, *picture.size))


def _picture(
    index: Index,
    image: ImageRecord,
    layer: str,
    region: Box,
    size: int | None,
    heat: int | None,
    box: Box | None,
    mask: PatchMask | None = None,
) -> Image.Image:
    if heat is not None:
        index.layer(layer).check_neuron(heat)
    original = index.picture(image)
    picture = scale(crop(original, region), size)
    if mask is not None:
        picture = mask(original, picture, region)
    if heat is not None:
        map_ = index.activation_map(image.id, layer, heat)
        picture = _heated(index, picture, map_, layer, heat, (image.width, image.height), region)
    return picture if box is None else outline(picture, box, region)


def _heated(
    index: Index,
    picture: Image.Image,
    map_: np.ndarray,
    layer: str,
    neuron: int,
    original: tuple[int, int],
    region: Box,
) -> Image.Image:
    """Lay a neuron's map (H, W) over a picture of a region; ``original`` is the size of the whole image."""
    shown = index.layer(layer)
    placement = index.manifest.configuration.preprocessing.placement(*original)
    return lay_over(picture, map_, shown.info.field, placement, region, float(shown.statistics["maximum"][neuron]))
