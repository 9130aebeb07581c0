"""Why a neuron fires: what of a patch its activation comes from, laid over the patch."""

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

_PIXELS = ReceptiveField("unsupported", None, None, None)
"""Every input pixel is a cell of its own: cells tile the input."""
_FULL = 99.0
"""The percentile of the pixels in the receptive field that gets the last colour; outliers would hide the rest."""
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
    """The patch of a cell, paled, and over it how much each input pixel has to do with the activation there.

    Parameters
    ----------
    attribution : callable
        What each input value adds to the activation of the neuron at this cell.
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
        Or whatever ``attribution`` raises.
    """
    original = index.picture(image)
    preprocessing = index.manifest.configuration.preprocessing
    field = index.layer(layer).info.field.box(y, x)
    strength = np.abs(attribution(preprocessing.pixels(original), field)).sum(axis=0)
    region = region_around(index.box(image, layer, y, x), context, image.width, image.height)
    patch = scale(crop(original, region), size)
    paled = Image.blend(patch, patch.convert("L").convert("RGB"), _GREY)
    placement = preprocessing.placement(image.width, image.height)
    return lay_over(paled, strength, _PIXELS, placement, region, _highest(strength, field))


def _highest(strength: np.ndarray, field: Box | None) -> float:
    seen = strength if field is None else strength[field.top : field.bottom, field.left : field.right]
    return float(np.percentile(seen, _FULL)) or float(strength.max())
