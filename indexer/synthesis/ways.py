"""The ways to make an image, by name: as what it is changed, and in which views the network is shown it."""

from collections.abc import Callable, Sequence
from typing import Final

import torch

from indexer.errors import InvalidRequest
from indexer.synthesis.ascending.ascent import Look
from indexer.synthesis.images.colours import Colours
from indexer.synthesis.images.natural import Natural
from indexer.synthesis.images.parametrisations import Fourier, Maco, Parametrisation, Pixels
from indexer.synthesis.images.transforms import Wobble, cropped, warp, wobbled
from indexer.synthesis.recipe import Settings

MACO_CROPS: Final = 4
_LARGEST, _SMALLEST, _WANING = 0.5, 0.05, 0.25
"""Sides of MACO's crops as shares of the image's: from the first to the second over the steps, give or take."""
_NOISE: Final = 0.05


def from_chance(
    way: str,
    size: tuple[int, int],
    device: torch.device,
    chances: Sequence[torch.Generator],
    natural: Callable[[], Natural],
) -> Parametrisation:
    """Images that begin as almost grey, each from its own generator; ``natural`` is asked only where it is needed."""
    makes: dict[str, Callable[[], Parametrisation]] = {
        "pixels": lambda: Pixels.grey(size, chances, device),
        "fourier": lambda: Fourier.grey(size, chances, device, natural().colours),
        "maco": lambda: Maco(size, chances, natural(), device),
    }
    return makes[way]()


def from_image(way: str, images: torch.Tensor, natural: Callable[[], Natural]) -> Parametrisation:
    """Images that begin as these, (B, 3, h, w) with colours from 0 to 1.

    Raises
    ------
    InvalidRequest
        The way has no room for an image.
    """
    if way == "maco":
        raise InvalidRequest("maco keeps the magnitudes of photographs and begins from chance; use fourier or pixels")
    if way == "pixels":
        return Pixels(Colours.plain().values(images))
    return Fourier.of(images, natural().colours)


def look(settings: Settings, size: tuple[int, int], chances: Sequence[torch.Generator]) -> Look:
    """The views of a way, drawn from a generator for each image."""
    looks: dict[str, Look] = {
        "pixels": lambda images, step: images,
        "fourier": lambda images, step: warp(images, wobbled(chances, Wobble.usual(size))),
        "maco": lambda images, step: _crops(images, step / max(settings.steps - 1, 1), size, chances),
    }
    return looks[settings.way]


def _crops(
    images: torch.Tensor, done: float, size: tuple[int, int], chances: Sequence[torch.Generator]
) -> torch.Tensor:
    """Crops that become smaller over the steps, with noise (Fel et al. 2023)."""
    side = _LARGEST + (_SMALLEST - _LARGEST) * done
    seen = warp(images, cropped(chances, size, MACO_CROPS, side * (1 + _WANING), side * (1 - _WANING)))
    noise = torch.stack([torch.randn(seen.shape[1:], generator=chances[n // MACO_CROPS]) for n in range(len(seen))])
    return seen + _NOISE * noise.to(seen.device)
