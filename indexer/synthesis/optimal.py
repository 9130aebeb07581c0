"""The optimal input of a neuron: an image made so that the neuron becomes as active as it can (Olah et al. 2017).

1. ``maker = Maker(index, network, "features.12", Settings())``
2. ``maker.make([412, 23])`` makes images for several neurons at once, each with figures that say how far to trust it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from indexer.errors import InvalidRequest
from indexer.explain.sources import Stop, never
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.ascending.ascent import UNMOVED, Look, Told, ascend
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import NeuronAt, NeuronMean, Objective
from indexer.synthesis.images.natural import Natural, natural
from indexer.synthesis.images.parametrisations import Fourier, Maco, Parametrisation, Pixels
from indexer.synthesis.images.pixels import to_pixels
from indexer.synthesis.images.transforms import Wobble, cropped, warp, wobbled
from indexer.synthesis.recipe import Settings, recipe_of, to_png
from indexer.synthesis.trust import Judge, Trust

MACO_CROPS: Final = 4
_LARGEST, _SMALLEST, _WANING = 0.5, 0.05, 0.25
"""Sides of MACO's crops as shares of the image's: from the first to the second over the steps, give or take."""
_NOISE: Final = 0.05


@dataclass(frozen=True)
class Optimal:
    """An image made for a neuron.

    Attributes
    ----------
    pixels : ndarray (h, w, 3) uint8
        Of the size of the network's input.
    recipe : dict
        Everything that decides it, as JSON.
    trust : Trust
    generation : int
        The figures are about the photographs of this generation of the index.
    """

    neuron: int
    pixels: np.ndarray
    recipe: dict[str, Any]
    trust: Trust
    generation: int

    @property
    def about(self) -> dict[str, Any]:
        """Recipe and figures."""
        return {"recipe": self.recipe, "trust": self.trust.as_dict(), "generation": self.generation}

    def png(self) -> bytes:
        return to_png(self.pixels, self.about)


class Maker:
    """Makes optimal inputs of a layer's neurons.

    Attributes
    ----------
    unmoved : list of int
        Neurons that no gradient reached, so that nothing was made for them.

    Raises
    ------
    NotFound
        The index has no such layer.
    """

    def __init__(self, index: Index, network: Network, layer: str, settings: Settings) -> None:
        self._index, self._layer, self._settings = index, index.layer(layer).name, settings
        self._network = Differentiable(network)
        self._judge = Judge(index, self._network, layer)
        self.unmoved: list[int] = []

    def make(self, neurons: Sequence[int], told: Told = lambda step: None, stop: Stop = never) -> list[Optimal]:
        """Images for these neurons, made side by side.

        Parameters
        ----------
        told : callable (step)
            Told of each step that is done.

        Raises
        ------
        NotFound
            The layer has no such neuron.
        Stopped, BadActivations, ImageUnavailable, UserCodeFailed
        """
        for neuron in neurons:
            self._index.layer(self._layer).check_neuron(neuron)
        settings = self._settings
        images, moved = ascend(
            self._network, self._parametrisation(neurons), self._objective(neurons), self._look(neurons),
            steps=settings.steps, rate=settings.rate, told=told, stop=stop,
        )  # fmt: skip
        shown = to_pixels(images)
        kept = [(neuron, row) for row, neuron in enumerate(neurons) if bool(moved[row])]
        self.unmoved += [neuron for row, neuron in enumerate(neurons) if not bool(moved[row])]
        if not kept:
            return []
        found = self._judge.of(shown[[row for _, row in kept]], [neuron for neuron, _ in kept])
        return [
            Optimal(neuron, shown[row], self.recipe(neuron), trust, self._index.generation)
            for (neuron, row), trust in zip(kept, found, strict=True)
        ]

    def recipe(self, neuron: int) -> dict[str, Any]:
        return optimal_recipe(self._index, self._layer, neuron, self._settings)

    def _objective(self, neurons: Sequence[int]) -> Objective:
        kind: Callable[[str, Sequence[int]], Objective] = {"mean": NeuronMean, "centre": NeuronAt}[self._settings.aim]
        return kind(self._layer, neurons)

    @cached_property
    def _natural(self) -> Natural:
        return natural(self._index)

    def _parametrisation(self, neurons: Sequence[int]) -> Parametrisation:
        size, device = self._network.size, self._network.device
        own = self._chances(neurons, "start")
        makes: dict[str, Callable[[], Parametrisation]] = {
            "pixels": lambda: Pixels.grey(size, own, device),
            "fourier": lambda: Fourier.grey(size, own, device, self._natural.colours),
            "maco": lambda: Maco(size, own, self._natural, device),
        }
        return makes[self._settings.way]()

    def _look(self, neurons: Sequence[int]) -> Look:
        own = self._chances(neurons, "views")
        looks: dict[str, Look] = {
            "pixels": lambda images, step: images,
            "fourier": lambda images, step: warp(images, wobbled(own, Wobble())),
            "maco": lambda images, step: self._crops(images, step, own),
        }
        return looks[self._settings.way]

    def _crops(self, images: torch.Tensor, step: int, own: list[torch.Generator]) -> torch.Tensor:
        """Crops that become smaller over the steps, with noise (Fel et al. 2023)."""
        side = _LARGEST + (_SMALLEST - _LARGEST) * step / max(self._settings.steps - 1, 1)
        views = cropped(own, self._network.size, MACO_CROPS, side * (1 + _WANING), side * (1 - _WANING))
        seen = warp(images, views)
        noise = torch.stack([torch.randn(seen.shape[1:], generator=own[n // MACO_CROPS]) for n in range(len(seen))])
        return seen + _NOISE * noise.to(seen.device)

    def _chances(self, neurons: Sequence[int], part: str) -> list[torch.Generator]:
        return [chance(self._settings.seed, self._layer, neuron, part) for neuron in neurons]


def optimal_recipe(index: Index, layer: str, neuron: int, settings: Settings) -> dict[str, Any]:
    """What decides the optimal input of a neuron.

    Raises
    ------
    NotFound
    """
    index.layer(layer).check_neuron(neuron)
    return recipe_of("optimal", index.manifest.configuration, layer=layer, neuron=neuron, **asdict(settings))


def optimal(
    index: Index,
    network: Network,
    layer: str,
    neuron: int,
    settings: Settings | None = None,
    told: Told = lambda step: None,
) -> Optimal:
    """The optimal input of one neuron; see `Maker`.

    Raises
    ------
    InvalidRequest
        Nothing moves the neuron.
    """
    made = Maker(index, network, layer, settings or Settings()).make([neuron], told)
    if not made:
        raise InvalidRequest(UNMOVED.format(where=f"neuron {neuron} of {layer}"))
    return made[0]
