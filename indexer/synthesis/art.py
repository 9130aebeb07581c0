"""Deep art: the content of one image in the style of another (Gatys et al. 2016, "Image style transfer using
convolutional neural networks").
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from indexer.errors import BadActivations, InvalidRequest
from indexer.explain.sources import Progress, Stop, check_stop, never, silent
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.ascending.adam import Adam
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import gram
from indexer.synthesis.images.colours import Colours
from indexer.synthesis.images.parametrisations import Fourier
from indexer.synthesis.images.pixels import to_colours, to_pixels
from indexer.synthesis.recipe import MAX_STEPS, recipe_of, to_png
from indexer.system.user_code import of_user

STYLE: Final = 10.0
"""How much style counts beside content, both in shares of the distance between the two images."""


@dataclass(frozen=True)
class Art:
    """An image with the content of one and the style of another.

    Attributes
    ----------
    pixels : ndarray (h, w, 3) uint8
        Of the size of the network's input.
    style, style_before : float
        Distance of its Gram matrices from the style image's, and that of the content image: the sum over style layers
        of the squared distance, as a share of the squared size of the style image's.
    content, content_of_style : float
        Distance of its maps at the content layer from the content image's, and that of the style image, as shares of
        the content's squared size.
    """

    pixels: np.ndarray
    style: float
    style_before: float
    content: float
    content_of_style: float
    recipe: dict[str, Any]

    @property
    def distances(self) -> dict[str, float]:
        """From the style and from the content, by name."""
        return {name: getattr(self, name) for name in ("style", "style_before", "content", "content_of_style")}

    def png(self) -> bytes:
        return to_png(self.pixels, {"recipe": self.recipe, **self.distances})


def art(
    index: Index, network: Network, content: np.ndarray, style: np.ndarray, *, content_layer: str,
    style_layers: Sequence[str], weight: float = STYLE, steps: int = 200, rate: float = 0.03,
    progress: Progress = silent, stop: Stop = never,
) -> Art:  # fmt: skip
    """Paint one image in the style of another, starting from the content.

    Parameters
    ----------
    content, style : ndarray (h, w, 3) uint8
        As `Preprocessing.pixels` gives them.
    weight : float
        How much style counts.

    Raises
    ------
    NotFound
        No such layer.
    InvalidRequest
        A number is out of bounds, or no style layer is named.
    Stopped, UserCodeFailed, BadActivations
    """
    for layer in (content_layer, *style_layers):
        index.layer(layer)
    if not style_layers or not 1 <= steps <= MAX_STEPS or not 0 < rate <= 10 or not 0 < weight <= 1e6:
        raise InvalidRequest(
            f"name a style layer, 1 to {MAX_STEPS} steps, a rate above 0 and at most 10, and a weight above 0 and at "
            "most 1e6"
        )
    distances = _Distances(Differentiable(network), content, style, content_layer, style_layers)
    made = Fourier.of(distances.content, Colours.of(np.stack([content, style])))
    optimiser = Adam(made.parameters, rate)
    for step in range(steps):
        check_stop(stop)
        optimiser.forget()
        near, like = distances.of(made.images())
        loss = near / distances.content_of_style + weight * like / distances.style_before
        if not bool(torch.isfinite(loss)):
            raise BadActivations("the distance became NaN or infinite; a lower rate may help")
        with of_user("the network, asked for gradients,"):
            loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        progress(step + 1, steps)
    (shown,) = to_pixels(made.images())
    content_left, style_left = distances.of_pixels(shown)
    recipe = recipe_of(
        "art", index.manifest.configuration, content_layer=content_layer, style_layers=list(style_layers),
        weight=weight, steps=steps, rate=rate,
    )  # fmt: skip
    return Art(shown, style_left, distances.style_before, content_left, distances.content_of_style, recipe)


class _Distances:
    """How far an image is from the content of one and the style of another."""

    def __init__(
        self, seen: Differentiable, content: np.ndarray, style: np.ndarray, content_layer: str, layers: Sequence[str]
    ) -> None:
        self._seen, self._layer, self._layers = seen, content_layer, tuple(layers)
        self.content = self._tensor(content)
        with torch.no_grad():
            self._content = self._maps(self.content)[content_layer]
            maps = self._maps(self._tensor(style))
            self._grams = {layer: gram(maps[layer]) for layer in layers}
        _, self.style_before = self.of_pixels(content)
        self.content_of_style, _ = self.of_pixels(style)
        if self.style_before <= 0 or self.content_of_style <= 0:
            raise InvalidRequest("the network sees no difference between the two images; name two that differ")

    def of(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From the content, and from the style."""
        maps = self._maps(images)
        near = _share(maps[self._layer], self._content)
        return near, torch.stack([_share(gram(maps[layer]), self._grams[layer]) for layer in self._layers]).sum()

    @torch.no_grad()
    def of_pixels(self, pixels: np.ndarray) -> tuple[float, float]:
        near, like = self.of(self._tensor(pixels))
        return float(near), float(like)

    def _maps(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self._seen.maps(images, {self._layer, *self._layers})

    def _tensor(self, pixels: np.ndarray) -> torch.Tensor:
        return to_colours(pixels, self._seen.device)


def _share(mine: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    return (mine - theirs).square().sum() / theirs.square().sum().clamp(min=1e-12)
