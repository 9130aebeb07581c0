"""What photographs have in common, measured on an index's own: colours, and magnitudes of their spectrum."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from indexer.errors import ImageUnavailable
from indexer.explain.sources import spread
from indexer.query.index import Index
from indexer.synthesis.images.colours import Colours
from indexer.synthesis.images.pixels import to_colours

SAMPLE: Final = 64
"""Measured on so many images at equal distances."""


@dataclass(frozen=True)
class Natural:
    """What photographs have in common.

    Attributes
    ----------
    colours : Colours
    magnitudes : Tensor (3, h, w // 2 + 1) float32
        Mean absolute value of `torch.fft.rfft2` ("ortho") of the images in these colours.
    images : int
        Measured on so many.
    """

    colours: Colours
    magnitudes: torch.Tensor
    images: int


def natural(index: Index) -> Natural:
    """Measured on a sample of an index's images.

    Raises
    ------
    ImageUnavailable
        No original of the sample can be read.
    """
    preprocessing = index.manifest.configuration.preprocessing
    pixels, lost = [], None
    for row in spread(np.arange(len(index.images)), SAMPLE).tolist():
        try:
            pixels.append(preprocessing.pixels(index.picture(index.image(int(index.images.id[row])))))
        except ImageUnavailable as error:
            lost = error
    if not pixels and lost is not None:
        raise lost
    return natural_of(np.stack(pixels))


def natural_of(pixels: np.ndarray) -> Natural:
    """Measured on images (n, h, w, 3) uint8."""
    colours = Colours.of(pixels)
    total = torch.zeros(3, pixels.shape[1], pixels.shape[2] // 2 + 1)
    for image in pixels:
        shown = to_colours(image)
        total += torch.fft.rfft2(colours.values(shown), norm="ortho").abs()[0]
    return Natural(colours, total / len(pixels), len(pixels))
