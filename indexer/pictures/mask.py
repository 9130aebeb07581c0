"""Patches through a mask: the pixels from which an activation comes, the others darkened.

1. ``mask = mask_of(index, attribution)``; ``attribution`` says which input pixels matter to a cell of a neuron.
2. ``mask(patch, original, shown, region)`` darkens ``shown``, a picture of a region of the original.
3. `unmasked` leaves pictures as they are.

As the masked crops of Achtibat et al. 2023 ("From attribution maps to human-understandable explanations through concept
relevance propagation"): the absolute attributions, summed over colours, are blurred by a Gaussian. Its standard
deviation is a 32nd of the receptive field's longer side, at least one input pixel. Pixels at which the result, linear
between input pixels, is at least a fifth of its maximum stay as they are; of the others a quarter of the light stays.
"""

from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from PIL import Image

from indexer.images.geometry import Box
from indexer.pictures.heat import draw_over
from indexer.pictures.saliency import EACH_PIXEL
from indexer.query.index import Index

BLUR: Final = 1 / 32
"""Standard deviation of the blur, in longer sides of the receptive field."""
LEAST: Final = 0.2
"""Share of the blurred maximum from which pixels are shown."""
LIGHT: Final = 0.25
"""Share of their light that the other pixels keep."""


class Cell(Protocol):
    """A neuron at a cell of a map, such as a `indexer.query.records.Patch`."""

    @property
    def layer(self) -> str: ...
    @property
    def neuron(self) -> int: ...
    @property
    def y(self) -> int: ...
    @property
    def x(self) -> int: ...


CellAttribution = Callable[[Cell, np.ndarray, Box | None], np.ndarray]
"""A cell, the pixels (h, w, 3) uint8 of the network's input, and the cell's receptive field -> (3, h, w) float32; see
`indexer.network.attribution.attribute`."""
Mask = Callable[[Cell, Image.Image, Image.Image, Box], Image.Image]
"""A cell, the original picture, a picture of a region of it, and the region -> the same, masked."""

PatchMask = Callable[[Image.Image, Image.Image, Box], Image.Image]
"""A `Mask` of one cell: the original picture, a picture of a region of it, and the region -> the same, masked."""


def unmasked(cell: Cell, original: Image.Image, shown: Image.Image, region: Box) -> Image.Image:
    """Leaves the picture as it is."""
    return shown


def mask_of(index: Index, attribution: CellAttribution) -> Mask:
    """The mask of an index's patches by an attribution, whose errors it raises."""
    preprocessing = index.manifest.configuration.preprocessing

    def mask(cell: Cell, original: Image.Image, shown: Image.Image, region: Box) -> Image.Image:
        pixels = preprocessing.pixels(original)
        field = index.layer(cell.layer).info.field.box(cell.y, cell.x)
        strength = blurred(np.abs(attribution(cell, pixels, field)).sum(axis=0), field)
        highest = float(strength.max())
        placement = preprocessing.placement(*original.size)

        def darken(strip: Image.Image, values: np.ndarray) -> Image.Image:
            hidden = (values < LEAST * highest)[:, :, None] if highest > 0 else np.bool_(True)
            light = np.where(hidden, LIGHT, 1.0)
            return Image.fromarray(np.round(np.asarray(strip) * light).astype(np.uint8))

        return draw_over(shown, strength, EACH_PIXEL, placement, region, darken)

    return mask


def blurred(strength: np.ndarray, field: Box | None) -> np.ndarray:
    """Attributions (h, w), blurred as the field's size asks for; without a field, as that of the whole input."""
    height, width = strength.shape
    longer = max(height, width) if field is None else max(field.height, field.width)
    spread = max(1.0, BLUR * longer)
    made: np.ndarray = _gaussian(height, spread) @ strength.astype(np.float64) @ _gaussian(width, spread)
    return made


def _gaussian(length: int, spread: float) -> np.ndarray:
    """The blur of one axis as a symmetric matrix; what it moves beyond an edge is lost."""
    distance = np.arange(length)[:, None] - np.arange(length)
    weights: np.ndarray = np.exp(-0.5 * np.square(distance / spread)) / (spread * np.sqrt(2 * np.pi))
    return weights
