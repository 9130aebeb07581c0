"""Colours in which the channels of photographs do not go together (Olah et al. 2017, "Feature visualization").

Ascent in them moves brightness and tints as far as photographs do, and not each of red, green and blue alone.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch

_CONTRAST: Final = 4.0
"""A sigmoid's slope at 0 is a quarter, so that colours near the middle keep their distance."""
_EDGE: Final = 0.02
"""How near to black and white a colour is taken to be, of which there is no logit."""
_LEAST_SPREAD: Final = 0.01


@dataclass(frozen=True)
class Colours:
    """Between free values (B, 3, h, w) and colours from 0 to 1.

    Attributes
    ----------
    mean : ndarray (3,)
        The mean colour, where all values are 0.
    matrix : ndarray (3, 3)
        From values to colours around the mean: the symmetric root of the colours' covariance.
    """

    mean: np.ndarray
    matrix: np.ndarray

    @classmethod
    def plain(cls) -> Self:
        """Each channel by itself, around grey."""
        return cls(np.full(3, 0.5), np.eye(3) / _CONTRAST)

    @classmethod
    def of(cls, pixels: np.ndarray) -> Self:
        """Those of some images (n, h, w, 3) uint8."""
        flat = pixels.reshape(-1, 3) / 255.0
        values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
        root = (vectors * np.sqrt(values.clip(_LEAST_SPREAD**2))) @ vectors.T
        return cls(flat.mean(axis=0).clip(_EDGE, 1 - _EDGE), root)

    def shown(self, values: torch.Tensor) -> torch.Tensor:
        """Colours from 0 to 1 of free values."""
        matrix, mean = self._on(values)
        return torch.sigmoid(torch.einsum("ij,bjhw->bihw", matrix * _CONTRAST, values) + torch.logit(mean))

    def values(self, colours: torch.Tensor) -> torch.Tensor:
        """The inverse of `shown`; colours near 0 and 1 come back a little paler."""
        matrix, mean = self._on(colours)
        logits = torch.logit(colours.clamp(_EDGE, 1 - _EDGE)) - torch.logit(mean)
        return torch.einsum("ij,bjhw->bihw", torch.linalg.inv(matrix * _CONTRAST), logits)

    def _on(self, beside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        matrix = torch.tensor(self.matrix, dtype=beside.dtype, device=beside.device)
        return matrix, torch.tensor(self.mean, dtype=beside.dtype, device=beside.device).view(1, 3, 1, 1)
