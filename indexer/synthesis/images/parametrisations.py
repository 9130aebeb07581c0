"""Images as functions of free numbers, which an optimiser changes.

Each is made from generators of chance, one an image, and gives its ``parameters`` and its ``images()``,
(B, 3, h, w) with colours from 0 to 1.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import torch

from indexer.synthesis.images.colours import Colours
from indexer.synthesis.images.natural import Natural

_START: Final = 0.01
"""Standard deviation of the first values."""
_DAMPED: Final = 4.0


class Parametrisation(Protocol):
    parameters: list[torch.Tensor]

    def images(self) -> torch.Tensor:
        """(B, 3, h, w), colours from 0 to 1."""


class Pixels:
    """Each pixel for itself: what ascent makes of them is noise, which fools the network alone."""

    def __init__(self, start: torch.Tensor) -> None:
        self._colours = Colours.plain()
        self.parameters = [start.clone().requires_grad_()]

    @classmethod
    def grey(cls, size: tuple[int, int], chances: Sequence[torch.Generator], device: torch.device) -> "Pixels":
        return cls(_drawn((3, *size), chances, device) * _START)

    def images(self) -> torch.Tensor:
        return self._colours.shown(self.parameters[0])


class Fourier:
    """Amplitudes of waves, the long ones moved farther than the short ones as 1 / frequency, in colours of photographs
    (Olah et al. 2017, "Feature visualization").
    """

    def __init__(self, waves: torch.Tensor, size: tuple[int, int], colours: Colours) -> None:
        self._size, self._colours = size, colours
        self._scale = falling(size, waves.device)
        self.parameters = [torch.view_as_real(waves).clone().requires_grad_()]

    @classmethod
    def grey(
        cls, size: tuple[int, int], chances: Sequence[torch.Generator], device: torch.device, colours: Colours
    ) -> "Fourier":
        drawn = _drawn((3, size[0], size[1] // 2 + 1, 2), chances, device) * _START
        return cls(torch.view_as_complex(drawn), size, colours)

    @classmethod
    def of(cls, images: torch.Tensor, colours: Colours) -> "Fourier":
        """Starts from images (B, 3, h, w)."""
        size = (images.shape[2], images.shape[3])
        waves = torch.fft.rfft2(colours.values(images), norm="ortho")
        return cls(waves / falling(size, images.device), size, colours)

    def images(self) -> torch.Tensor:
        waves = torch.view_as_complex(self.parameters[0]) * self._scale
        return self._colours.shown(torch.fft.irfft2(waves, s=self._size, norm="ortho"))


class Maco:
    """Phases of waves alone: magnitudes stay those of photographs.

    Fel et al. 2023, "Unlocking feature visualization for deeper networks with magnitude constrained optimization".
    """

    def __init__(
        self, size: tuple[int, int], chances: Sequence[torch.Generator], natural: Natural, device: torch.device
    ):
        self._size, self._colours = size, natural.colours
        self._magnitudes = natural.magnitudes.to(device)
        self.parameters = [_drawn((3, size[0], size[1] // 2 + 1), chances, device).mul_(torch.pi).requires_grad_()]

    def values(self) -> torch.Tensor:
        """The image in the colours of photographs; its spectrum has exactly their magnitudes."""
        phases = _of_real(self.parameters[0], self._size[1])
        waves = torch.polar(self._magnitudes.expand_as(phases), phases)
        values: torch.Tensor = torch.fft.irfft2(waves, s=self._size, norm="ortho")
        return values

    def images(self) -> torch.Tensor:
        return self._colours.shown(self.values())


def falling(size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """What each wave (h, w // 2 + 1) is multiplied with: 1 over its frequency, in cycles a pixel."""
    height, width = size
    rows, columns = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
    frequency = torch.hypot(rows[:, None], columns[None])
    return 1 / frequency.clamp(min=1 / max(size)) / _DAMPED


def _of_real(phases: torch.Tensor, width: int) -> torch.Tensor:
    """Phases that a real image can have: opposite in opposite rows, in columns that are their own mirror image."""
    mirrored = phases.flip(2).roll(1, 2)
    own = torch.zeros(phases.shape[3], dtype=torch.bool, device=phases.device)
    own[0] = True
    own[-1] = width % 2 == 0
    return torch.where(own, (phases - mirrored) / 2, phases)


def _drawn(shape: tuple[int, ...], chances: Sequence[torch.Generator], device: torch.device) -> torch.Tensor:
    """Normal numbers (B, *shape), each image's from its own generator on the CPU."""
    return torch.stack([torch.randn(shape, generator=chance) for chance in chances]).to(device)
