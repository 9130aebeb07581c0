"""Why a neuron fires: a patch, with colour on the pixels that its activation comes from."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from indexer.images.geometry import Box
from indexer.pictures.crop import crop, region_around, scale
from indexer.pictures.heat import lay_over
from indexer.query.index import Index
from indexer.query.records import ImageRecord
from indexer.receptive_field import ReceptiveField

Attribution = Callable[[np.ndarray, Box | None], np.ndarray]
"""Pixels (h, w, 3) uint8 of the network's input and the receptive field of the cell -> (3, h, w) float32; see
`indexer.network.attribution.attribute`."""

EACH_PIXEL = ReceptiveField("unsupported", None, None, None)
"""A field that is not known, so that cells tile the input: each input pixel is a cell of its own."""
_FULL = 99.0
"""The percentile of the pixels in the receptive field that gets the last colour. With the maximum, outliers would hide
the rest."""
_GREY = 0.5


def saliency(
    index: Index,
    attribution: Attribution,
    image: ImageRecord,
    layer: str,
    y: int,
    x: int,
    *,
    size: int | None = None,
    context: float = 0.0,
) -> Image.Image:
    """The pale patch of a cell, coloured by how much each input pixel contributes to the activation there.

    Parameters
    ----------
    attribution : callable
        Returns the contribution of each input value to the neuron's activation at this cell.
    size, context
        As for `indexer.pictures.patch`.

    Returns
    -------
    PIL.Image.Image
        RGB. A pixel's colour is the sum over channels of absolute attributions, interpolated between input pixels,
        on a scale from 0 to the 99th percentile of the receptive field.

    Raises
    ------
    NotFound, InvalidRequest, ImageUnavailable
        Besides them, any error that ``attribution`` raises.
    """
    original = index.picture(image)
    preprocessing = index.manifest.configuration.preprocessing
    field = index.layer(layer).info.field.box(y, x)
    strength = np.abs(attribution(preprocessing.pixels(original), field)).sum(axis=0)
    region = region_around(index.box(image, layer, y, x), context, image.width, image.height)
    patch = scale(crop(original, region), size)
    paled = Image.blend(patch, patch.convert("L").convert("RGB"), _GREY)
    placement = preprocessing.placement(image.width, image.height)
    return lay_over(paled, strength, EACH_PIXEL, placement, region, _highest(strength, field))


def _highest(strength: np.ndarray, field: Box | None) -> float:
    within = strength if field is None else strength[field.top : field.bottom, field.left : field.right]
    return float(np.percentile(within, _FULL)) or float(strength.max())
