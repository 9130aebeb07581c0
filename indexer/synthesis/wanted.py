"""Images that do several things at once, and several images that do the same and differ (Olah et al. 2017).

1. ``wishes = [of_neuron(index, "features.12", 412), of_output(index, "teapot")]``, see `indexer.synthesis.wishes`
2. ``make_wanted(index, network, wishes, Settings(), images=3, apart=1)``
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from indexer.errors import InvalidRequest
from indexer.explain.sources import Progress, Stop, never, silent
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis import ways
from indexer.synthesis.ascending.ascent import UNMOVED, ascend
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import Different, Objective, Weighted
from indexer.synthesis.images.natural import natural
from indexer.synthesis.images.parametrisations import Parametrisation
from indexer.synthesis.images.pixels import to_colours, to_pixels
from indexer.synthesis.recipe import Settings, recipe_of, to_png
from indexer.synthesis.wishes import Wish

MOST_IMAGES: Final = 64


@dataclass(frozen=True)
class Wanted:
    """An image that was wished for.

    Attributes
    ----------
    pixels : ndarray (h, w, 3) uint8
        Of the size of the network's input.
    before, after : list of float
        What each wish comes to on the image that was begun with and on this one, both with 8 bits a colour.
    recipe : dict
    """

    pixels: np.ndarray
    before: list[float]
    after: list[float]
    recipe: dict[str, Any]

    def png(self) -> bytes:
        return to_png(self.pixels, {"recipe": self.recipe, "before": self.before, "after": self.after})


def make_wanted(
    index: Index, network: Network, wishes: Sequence[Wish], settings: Settings, *, images: int = 1, apart: float = 0.0,
    start: np.ndarray | None = None, progress: Progress = silent, stop: Stop = never,
) -> list[Wanted]:  # fmt: skip
    """Make images that do what is wished, all at once.

    Parameters
    ----------
    settings : Settings
        Its ``aim`` is for single neurons and is not used.
    images : int
        So many, each from another start, or shown in other views.
    apart : float
        How much it counts that they differ: less the mean cosine between their Gram matrices at the first wish's layer.
    start : ndarray (h, w, 3) uint8, optional
        The image to begin with, as `Preprocessing.pixels` gives it; by default almost grey.

    Raises
    ------
    InvalidRequest
        Nothing is wished, a number is out of bounds, a single image is to differ, or nothing moves what is wished.
    Stopped, UserCodeFailed, BadActivations, ImageUnavailable
    """
    _check(wishes, images, apart)
    seen = Differentiable(network)
    begin, views = ([chance(settings.seed, "wanted", number, part) for number in range(images)]
                    for part in ("start", "views"))  # fmt: skip
    made = _begun(index, seen, settings.way, begin, start)
    first = to_pixels(made.images())
    results, moved = ascend(
        seen, made, _all_of(wishes, images, apart), ways.look(settings, seen.size, views),
        steps=settings.steps, rate=settings.rate, told=lambda step: progress(step, settings.steps), stop=stop,
    )  # fmt: skip
    if not bool(moved.any()):
        raise InvalidRequest(UNMOVED.format(where=" and ".join(dict.fromkeys(wish.layer for wish in wishes))))
    shown = to_pixels(results)
    recipe = recipe_of(
        "wanted", index.manifest.configuration, wishes=[wish.about | {"weight": wish.weight} for wish in wishes],
        images=images, apart=apart, start=None if start is None else hashlib.sha256(start.tobytes()).hexdigest(),
        way=settings.way, steps=settings.steps, rate=settings.rate, seed=settings.seed, generation=index.generation,
    )  # fmt: skip
    before, after = (_values(seen, wishes, pixels) for pixels in (first, shown))
    return [
        Wanted(shown[number], before[number], after[number], recipe | {"number": number}) for number in range(images)
    ]


def _begun(
    index: Index, seen: Differentiable, way: str, begin: Sequence[torch.Generator], start: np.ndarray | None
) -> Parametrisation:
    if start is None:
        return ways.from_chance(way, seen.size, seen.device, begin, lambda: natural(index))
    images = to_colours(start, seen.device).expand(len(begin), -1, -1, -1)
    return ways.from_image(way, images, lambda: natural(index))


def _all_of(wishes: Sequence[Wish], images: int, apart: float) -> Objective:
    parts: list[tuple[float, Objective]] = [(wish.weight, wish.objective(images)) for wish in wishes]
    return Weighted([*parts, (apart, Different(wishes[0].layer))] if apart else parts)


@torch.no_grad()
def _values(seen: Differentiable, wishes: Sequence[Wish], pixels: np.ndarray) -> list[list[float]]:
    """What each wish comes to on each image, behind the ReLU where there is one."""
    layers = {wish.layer for wish in wishes}
    maps = [seen.maps(to_colours(one, seen.device), layers) for one in pixels]
    value: Callable[[Wish, int], float] = lambda wish, number: float(wish.objective(1)(maps[number]))  # noqa: E731
    return [[value(wish, number) for wish in wishes] for number in range(len(pixels))]


def _check(wishes: Sequence[Wish], images: int, apart: float) -> None:
    if not wishes:
        raise InvalidRequest("say what is wanted of the image")
    if not 1 <= images <= MOST_IMAGES:
        raise InvalidRequest(f"images must be 1 to {MOST_IMAGES}, not {images}")
    if not 0 <= apart <= 1e6:
        raise InvalidRequest(f"apart must be 0 to 1e6, not {apart}")
    if apart and images == 1:
        raise InvalidRequest("one image differs from no other; ask for two images or more")
