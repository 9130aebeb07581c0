"""Images that fool a network: one that is changed a little and answered otherwise, and noise answered with certainty.

Szegedy et al. 2014, "Intriguing properties of neural networks"; Nguyen et al. 2015, "Deep neural networks are easily
fooled".
"""

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import torch

from indexer.defaults import FOOLING_NORMS
from indexer.errors import InvalidRequest
from indexer.explain.outputs import answering_outputs, output_named
from indexer.explain.sources import Progress, Stop, never, silent
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.learning.answering.output_kind import kind_of, probabilities_of
from indexer.synthesis.ascending.ascent import ascend
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import Certain, competing
from indexer.synthesis.attacks import OutputsOf, descend, is_other, nearest_boundary, norm_of
from indexer.synthesis.images.parametrisations import Pixels
from indexer.synthesis.images.pixels import peaks_of, to_colours, to_pixels
from indexer.synthesis.images.transforms import Wobble, warp, wobbled
from indexer.synthesis.recipe import recipe_of, to_png
from indexer.synthesis.turned import Turning, turned

VIEWS: Final = 16
TURNED: Final = 8
_LARGEST: Final = 4096.0
"""So many times a change is enlarged at most, until it is still there with 8 bits a colour."""
_BISECTIONS: Final = 4
_NOISE: Final = 0.1


@dataclass(frozen=True)
class Answer:
    """What a network answers: an output, its name, and its probability, as its kind of outputs tells it."""

    output: int
    name: str
    confidence: float


@dataclass(frozen=True)
class Fooled:
    """An image and its change.

    Attributes
    ----------
    before, after : ndarray (h, w, 3) uint8
        Of the size of the network's input.
    answer_before, answer_after : Answer
        Of the two as they are, with 8 bits a colour.
    fooled : bool
        Whether the answer after is another one, or the target.
    norm : str
        "l2" or "linf".
    distance, distance_kept : float
        The norm of the change, over colours from 0 to 1: as it was found, and with 8 bits a colour.
    same_before, same_after : float
        The share of 16 views, moved, turned and scaled, that are answered as the image itself.
    turning : list of Turning
        The neurons of each indexed layer that fire after and not before.
    recipe : dict
    """

    before: np.ndarray
    after: np.ndarray
    answer_before: Answer
    answer_after: Answer
    fooled: bool
    norm: str
    distance: float
    distance_kept: float
    same_before: float
    same_after: float
    turning: list[Turning]
    recipe: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """All but the pixels."""
        return {name: value for name, value in asdict(self).items() if name not in ("before", "after")}

    def png(self) -> bytes:
        return to_png(self.after, self.as_dict())


def fool(
    index: Index,
    network: Network,
    pixels: np.ndarray,
    *,
    target: str | None = None,
    norm: str = "l2",
    most: float | None = None,
    stop: Stop = never,
) -> Fooled:
    """Change an image a little so that the network answers something else.

    Parameters
    ----------
    pixels : ndarray (h, w, 3) uint8
        As `Preprocessing.pixels` gives them.
    target : str, optional
        The output that it is to answer: its number, its class or its name.
    norm : str
    most : float, optional
        The most that the norm may be, over colours from 0 to 1; by default the smallest change that does it is sought.

    Raises
    ------
    NotFound
        The network's outputs are not indexed, or there is no such output.
    InvalidRequest
        The norm is not known, or the network answers the target already.
    Stopped, UserCodeFailed, BadActivations
    """
    _check(norm, most)
    outputs = answering_outputs(index)
    wanted = None if target is None else output_named(index, target)
    seen = _Seen(network, outputs.layer, outputs.names, kind_of(index, outputs.layer))
    before = seen.answer(pixels)
    if wanted == before.output:
        raise InvalidRequest(f"the network answers {before.name} already; name another target")
    image = seen.tensor(pixels)
    if most is None:
        changed = nearest_boundary(seen.outputs, image, before.output, wanted, norm, stop=stop)
    else:
        changed = descend(seen.outputs, image, before.output, wanted, norm, most, stop=stop)
    largest = _LARGEST if most is None else 1.0
    after, after_pixels = _kept(seen, image, changed, before.output, wanted, largest)
    layers = list(index.layers)
    peaks = [
        network.run(network.stacked([one]), lambda _, maps: peaks_of(maps)[0], layers) for one in (pixels, after_pixels)
    ]
    return Fooled(
        pixels, after_pixels, before, after, is_other(after.output, before.output, wanted), norm,
        norm_of(changed - image, norm), norm_of(seen.tensor(after_pixels) - image, norm),
        seen.same(pixels, before.output), seen.same(after_pixels, after.output),
        turned(index, peaks[0], peaks[1], TURNED, layers),
        recipe_of("fool", index.manifest.configuration, target=wanted, norm=norm, most=most),
    )  # fmt: skip


@dataclass(frozen=True)
class Noise:
    """An image of noise, and what the network answers."""

    pixels: np.ndarray
    answer: Answer
    recipe: dict[str, Any]

    def png(self) -> bytes:
        return to_png(self.pixels, {"recipe": self.recipe, "answer": asdict(self.answer)})


def noise(
    index: Index, network: Network, target: str, *, steps: int = 64, rate: float = 0.02, seed: int = 0,
    progress: Progress = silent, stop: Stop = never,
) -> Noise:  # fmt: skip
    """Noise that the network answers as a given output, with certainty.

    Raises
    ------
    NotFound
        The network's outputs are not indexed, or there is no such output.
    Stopped, UserCodeFailed, BadActivations
    """
    outputs, wanted = answering_outputs(index), output_named(index, target)
    seen = _Seen(network, outputs.layer, outputs.names, kind_of(index, outputs.layer))
    start = torch.randn((1, 3, *seen.network.size), generator=chance(seed, "noise", wanted)).to(seen.network.device)
    images, _ = ascend(
        seen.network, Pixels(start * _NOISE), Certain(outputs.layer, [wanted], seen.kind), lambda views, step: views,
        steps=steps, rate=rate, told=lambda step: progress(step, steps), stop=stop,
    )  # fmt: skip
    (pixels,) = to_pixels(images)
    recipe = recipe_of("noise", index.manifest.configuration, target=wanted, steps=steps, rate=rate, seed=seed)
    return Noise(pixels, seen.answer(pixels), recipe)


class _Seen:
    """A network as attacks see it, and as it answers."""

    def __init__(self, network: Network, layer: str, names: list[str], kind: str) -> None:
        self.network, self.kind = Differentiable(network), kind
        self._layer, self._names = layer, names
        self.outputs: OutputsOf = lambda images: competing(self.network.maps(images, [layer])[layer][:, :, 0, 0], kind)

    def tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """(1, 3, h, w), colours from 0 to 1."""
        return to_colours(pixels, self.network.device)

    def answer(self, pixels: np.ndarray) -> Answer:
        """Of the network as the index has it."""
        network = self.network.network
        found = network.run(network.stacked([pixels]), lambda _, maps: maps[0, :, 0, 0].float().cpu(), [self._layer])
        values = found[self._layer]
        output = int(values.argmax())
        probabilities = probabilities_of(values[:, None].numpy(), self.kind)[:, 0]
        return Answer(output, self._names[output], float(probabilities[output]))

    @torch.no_grad()
    def same(self, pixels: np.ndarray, answer: int) -> float:
        """The share of views that are answered so."""
        own, image = chance("fooled"), self.tensor(pixels)
        views = [warp(image, wobbled([own], Wobble.usual(self.network.size))) for _ in range(VIEWS)]
        return float(np.mean([int(self.outputs(view).argmax()) == answer for view in views]))


def _kept(
    seen: _Seen, image: torch.Tensor, changed: torch.Tensor, answer: int, target: int | None, largest: float
) -> tuple[Answer, np.ndarray]:
    """The changed image with 8 bits a colour, its change enlarged about as little as the answer needs.

    Small changes are rounded away but where they are strongest: the factor says how many places are changed. It is
    doubled until the answer is there, and then bisected. Where no factor does it, the change is not enlarged.
    """

    def enlarged(factor: float) -> tuple[Answer, np.ndarray]:
        pixels = to_pixels(image + (changed - image) * factor)[0]
        return seen.answer(pixels), pixels

    def does_it(found: tuple[Answer, np.ndarray]) -> bool:
        return is_other(found[0].output, answer, target)

    low = high = 1.0
    found = first = enlarged(high)
    while not does_it(found):
        if high >= largest or not bool((changed != image).any()):
            return first
        low, high = high, high * 2
        found = enlarged(high)
    for _ in range(_BISECTIONS if high > 1 else 0):
        middle = (low * high) ** 0.5
        tried = enlarged(middle)
        if does_it(tried):
            found, high = tried, middle
        else:
            low = middle
    return found


def _check(norm: str, most: float | None) -> None:
    if norm not in FOOLING_NORMS:
        raise InvalidRequest(f"norm must be one of {', '.join(FOOLING_NORMS)}, not {norm!r}")
    if most is not None and not 0 < most <= 1000:
        raise InvalidRequest(f"most must be above 0 and at most 1000, not {most}")
