"""The optimal input of a neuron: an image made so that the neuron becomes as active as it can (Olah et al. 2017).

1. ``maker = Maker(index, network, "features.12", Settings())``
2. ``maker.make([412, 23])`` makes images for several neurons at once, each with figures that say how far to trust it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from indexer.errors import InvalidRequest
from indexer.explain.sources import Stop, never
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis import ways
from indexer.synthesis.ascending.ascent import UNMOVED, Told, ascend
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import NeuronAt, NeuronMean, Objective
from indexer.synthesis.images.natural import Natural, natural
from indexer.synthesis.images.pixels import to_pixels
from indexer.synthesis.recipe import Settings, recipe_of, to_png
from indexer.synthesis.trust import Judge, Trust


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
    note : str or None
        What to know of all of them, where only a part of each image is asked for.

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
        self.note = _note(index, layer) if settings.aim == "centre" else None

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
        settings, size = self._settings, self._network.size
        start, views = (self._chances(neurons, part) for part in ("start", "views"))
        images, moved = ascend(
            self._network,
            ways.from_chance(settings.way, size, self._network.device, start, lambda: self._natural),
            self._objective(neurons),
            ways.look(settings, size, views),
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

    def _chances(self, neurons: Sequence[int], part: str) -> list[torch.Generator]:
        return [chance(self._settings.seed, self._layer, neuron, part) for neuron in neurons]


def _note(index: Index, layer: str) -> str | None:
    """What to know where the cell in the middle of a layer's map sees a part of the image alone."""
    info, (height, width) = index.layer(layer).info, index.manifest.configuration.preprocessing.input_size
    box = info.field.box(info.height // 2, info.width // 2)
    if box is None:
        return None
    rows, columns = min(box.bottom, height) - max(box.top, 0), min(box.right, width) - max(box.left, 0)
    if rows >= height and columns >= width:
        return None
    return f"the cell in the middle of {layer} sees {columns} x {rows} of {width} x {height} pixels alone"


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
