"""Deep dream: an image in which a layer, or some of its neurons, sees more of what it sees already.

Mordvintsev et al. 2015, "Inceptionism: going deeper into neural networks".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional

from indexer.errors import InvalidRequest
from indexer.explain.sources import Progress, Stop, check_stop, never, silent
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.ascending.ascent import UNMOVED
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import Amplified
from indexer.synthesis.images.pixels import to_colours, to_pixels
from indexer.synthesis.recipe import MAX_STEPS, recipe_of, to_png
from indexer.system.user_code import of_user

MAX_OCTAVES: Final = 8


@dataclass(frozen=True)
class Dream:
    """Where a dream leads.

    Attributes
    ----------
    neurons : sequence of int, optional
        Those that are amplified, by default the whole layer.
    octaves : int
        Sizes of details, the coarsest first.
    zoom : float
        How much finer each is than the one before.
    steps : int
        Of each octave.
    rate : float
        How far a step goes: the mean absolute change of a colour from 0 to 1.
    seed : int
        Of the shifts between steps.

    Raises
    ------
    InvalidRequest
    """

    layer: str
    neurons: Sequence[int] | None = None
    octaves: int = 4
    zoom: float = 1.4
    steps: int = 10
    rate: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("octaves", 1, MAX_OCTAVES),
            ("zoom", 1.01, 4),
            ("steps", 1, MAX_STEPS),
            ("rate", 1e-6, 1),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidRequest(f"{name} must be {low} to {high}, not {value}")


@dataclass(frozen=True)
class Dreamt:
    """The image dreamt, (h, w, 3) uint8 of the size of the network's input, and its recipe."""

    pixels: np.ndarray
    recipe: dict[str, Any]

    def png(self) -> bytes:
        return to_png(self.pixels, {"recipe": self.recipe})


def dream(
    index: Index, network: Network, pixels: np.ndarray, wanted: Dream, progress: Progress = silent, stop: Stop = never
) -> Dreamt:
    """Amplify a layer, or neurons of it, on an image.

    Coarse details come first: at each octave the changes are those of a smaller image, enlarged to the network's input,
    so that a network of one input size can be used.

    Parameters
    ----------
    pixels : ndarray (h, w, 3) uint8
        As `Preprocessing.pixels` gives them.

    Raises
    ------
    NotFound
        No such layer or neuron.
    InvalidRequest
        Nothing moves what is amplified on this image.
    Stopped, UserCodeFailed, BadActivations
    """
    for neuron in wanted.neurons or ():
        index.layer(wanted.layer).check_neuron(neuron)
    index.layer(wanted.layer)
    seen = Differentiable(network)
    objective, own = Amplified(wanted.layer, wanted.neurons), chance(wanted.seed, "dream")
    image = to_colours(pixels, seen.device)
    total = wanted.octaves * wanted.steps
    for octave in range(wanted.octaves):
        size = [max(8, round(side / wanted.zoom ** (wanted.octaves - 1 - octave))) for side in seen.size]
        for step in range(wanted.steps):
            check_stop(stop)
            shift = [int(torch.randint(side, (1,), generator=own)) for side in seen.size]
            image = _moved(seen, objective, image, size, shift, wanted.rate)
            progress(octave * wanted.steps + step + 1, total)
    (shown,) = to_pixels(image)
    parts = {name: getattr(wanted, name) for name in ("layer", "octaves", "zoom", "steps", "rate", "seed")}
    neurons = None if wanted.neurons is None else list(wanted.neurons)
    return Dreamt(shown, recipe_of("dream", index.manifest.configuration, neurons=neurons, **parts))


def _moved(
    seen: Differentiable, objective: Amplified, image: torch.Tensor, size: list[int], shift: list[int], rate: float
) -> torch.Tensor:
    """The image a step further, its change as smooth as an image of this size has it."""
    view = image.roll(shift, (2, 3)).detach().requires_grad_()
    value = objective(seen.maps(view, objective.layers, before_relu=True)).sum()
    gradient = None
    if value.requires_grad:
        with of_user("the network, asked for gradients,"):
            gradient = torch.autograd.grad(value, view)[0].roll([-each for each in shift], (2, 3))
    if gradient is None or not bool(gradient.any()):
        raise InvalidRequest(UNMOVED.format(where=objective.layer))
    coarse = functional.interpolate(gradient, size, mode="area")
    smooth = functional.interpolate(coarse, image.shape[2:], mode="bilinear")
    return (image + rate * smooth / smooth.abs().mean().clamp(min=1e-12)).clamp(0, 1)
