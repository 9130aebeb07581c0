"""How far a made image may be trusted: whether photographs move the neuron as far, and whether it takes their paths.

A made image may drive a neuron by paths through the network that no photograph takes (Geirhos et al. 2023, "Don't trust
your eyes: on the (un)reliability of feature visualizations"). Figures are about the image as it is kept, with 8 bits a
colour, and of the network as the index has it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch

from indexer.explain.sources import spread
from indexer.query import top
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.shards.format import LEAST_POSITIVE
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.images.pixels import peaks_of, to_colours
from indexer.synthesis.images.transforms import Wobble, warp, wobbled

VIEWS: Final = 16
"""Fresh views of an image, which its making has not seen."""
PHOTOGRAPHS: Final = 2000
"""The place in earlier layers is measured among at most so many photographs, at equal distances."""
_LIKE: Final = 10


@dataclass(frozen=True)
class Earlier:
    """Where the peaks of a layer before the neuron's lie among those of photographs.

    Attributes
    ----------
    distance : float
        Root mean square, over neurons, of the peak's distance from the photographs' mean in standard deviations.
    farther_than : float
        The share of photographs, in percent, whose own distance is smaller: 100 is farther than all.
    beyond : float
        The share of neurons, in percent, whose peak is above that on every photograph.
    like_top : float or None
        Correlation of the peaks, in standard deviations, with their mean on the neuron's ten strongest photographs: 1
        are the same paths.
    photographs_like_top : float or None
        The mean correlation of each of these ten with the mean of the other nine.
    photographs, of : int
        Measured on so many photographs, of so many.
    """

    layer: str
    distance: float
    farther_than: float
    beyond: float
    like_top: float | None
    photographs_like_top: float | None
    photographs: int
    of: int


@dataclass(frozen=True)
class Trust:
    """Figures of a made image beside those of photographs.

    Attributes
    ----------
    activation : float
        The neuron's peak on the image.
    highest : float
        The neuron's highest peak on any photograph of the index.
    transformed : float
        The mean of its peaks on ``views`` fresh views of the image, moved, turned and scaled.
    ratio, transformed_ratio : float or None
        The two over ``highest``; None where that is not positive.
    earlier : list of Earlier
        The indexed layers that run before, in their order.
    """

    activation: float
    highest: float
    ratio: float | None
    transformed: float
    transformed_ratio: float | None
    views: int
    earlier: list[Earlier]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Judge:
    """Gives the figures for images made for neurons of a layer.

    >>> judge = Judge(index, differentiable, "features.12")
    >>> judge.of(pixels, [412])
    """

    def __init__(self, index: Index, network: Differentiable, layer: str) -> None:
        self._index, self._network, self._layer = index, network, layer
        before = network.order[: network.order.index(layer)]
        self._earlier = [_Photographs(index.layer(name)) for name in before]

    def of(self, pixels: np.ndarray, neurons: Sequence[int]) -> list[Trust]:
        """The figures of images (n, h, w, 3) uint8, each made for its neuron."""
        names = [self._layer, *(each.name for each in self._earlier)]
        peaks = self._network.network.run(pixels, lambda layer, maps: peaks_of(maps), names)
        return [
            self._of_one(pixels[row], neuron, {name: peaks[name][row] for name in names})
            for row, neuron in enumerate(neurons)
        ]

    def _of_one(self, pixels: np.ndarray, neuron: int, peaks: dict[str, np.ndarray]) -> Trust:
        highest = float(self._index.layer(self._layer).statistics["maximum"][neuron])
        rows = top.peaks_of(self._index.layer(self._layer), neuron, None, LEAST_POSITIVE)[:_LIKE]
        activation, transformed = float(peaks[self._layer][neuron]), self._transformed(pixels, neuron)
        ratios = [value / highest if highest > 0 else None for value in (activation, transformed)]
        return Trust(
            activation, highest, ratios[0], transformed, ratios[1], VIEWS,
            [each.place_of(peaks[each.name], rows) for each in self._earlier],
        )  # fmt: skip

    @torch.no_grad()
    def _transformed(self, pixels: np.ndarray, neuron: int) -> float:
        image = to_colours(pixels, self._network.device)
        own = chance("fresh", self._layer, neuron)
        peaks = []
        for _ in range(VIEWS):
            maps = self._network.maps(warp(image, wobbled([own], Wobble.usual(self._network.size))), [self._layer])[
                self._layer
            ]
            peaks.append(float(maps[0, neuron].max()))
        return float(np.mean(peaks))


class _Photographs:
    """The peaks of photographs at a layer."""

    def __init__(self, layer: Layer) -> None:
        self.name = layer.name
        self._all = layer.peaks_by_image
        self._maximum = np.asarray(layer.statistics["maximum"])
        self._sample = np.asarray(self._all[spread(np.arange(len(self._all)), PHOTOGRAPHS)])

    @cached_property
    def _scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation, the latter infinite where all are equal: float32 would round that to almost nothing."""
        deviation = self._sample.std(axis=0, dtype=np.float64)
        return self._sample.mean(axis=0, dtype=np.float64), np.where(deviation > 0, deviation, np.inf)

    @cached_property
    def _distances(self) -> np.ndarray:
        return _length(self._standard(self._sample))

    def place_of(self, peaks: np.ndarray, rows: np.ndarray) -> Earlier:
        standard = self._standard(peaks)
        distance = float(_length(standard[None])[0])
        strongest = self._standard(np.asarray(self._all[rows])) if len(rows) > 1 else None
        return Earlier(
            self.name, distance, 100 * float((self._distances < distance).mean()),
            100 * float((peaks > self._maximum).mean()),
            None if strongest is None else _correlation(standard, strongest.mean(axis=0)),
            None if strongest is None else _among(strongest), len(self._sample), len(self._all),
        )  # fmt: skip

    def _standard(self, peaks: np.ndarray) -> np.ndarray:
        mean, deviation = self._scale
        standard: np.ndarray = (peaks - mean) / deviation
        return standard


def _length(standard: np.ndarray) -> np.ndarray:
    length: np.ndarray = np.sqrt(np.square(standard, dtype=np.float64).mean(axis=1))
    return length


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _among(strongest: np.ndarray) -> float | None:
    """The mean correlation of each with the mean of the others."""
    total, others = strongest.sum(axis=0), len(strongest) - 1
    found = [_correlation(one, (total - one) / others) for one in strongest]
    known = [value for value in found if value is not None]
    return float(np.mean(known)) if known else None
