"""What is wanted of images: from the maps of layers to a number for each image, which ascent makes larger.

An objective has the ``layers`` that it needs, and is called with their maps (B, C, H, W). The maps are those before the
ReLU where one ends a layer, so that a neuron can be woken.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.nn import functional

from indexer.defaults import LOGITS, PROBABILITIES

Maps = Mapping[str, torch.Tensor]


class Objective(Protocol):
    @property
    def layers(self) -> tuple[str, ...]:
        """Those whose maps it needs."""

    def __call__(self, maps: Maps) -> torch.Tensor:
        """A number for each image (B,)."""


@dataclass(frozen=True)
class _OfOneLayer:
    layer: str

    @property
    def layers(self) -> tuple[str, ...]:
        return (self.layer,)


@dataclass(frozen=True)
class NeuronMean(_OfOneLayer):
    """Each image's own neuron, on the mean over its map. With several views of an image, they come in a row."""

    neurons: Sequence[int]

    def __call__(self, maps: Maps) -> torch.Tensor:
        return _own(maps[self.layer], self.neurons).mean(dim=(1, 2))


@dataclass(frozen=True)
class NeuronAt(_OfOneLayer):
    """Each image's own neuron at one cell, by default that in the middle: a *unit*."""

    neurons: Sequence[int]
    cell: tuple[int, int] | None = None

    def __call__(self, maps: Maps) -> torch.Tensor:
        own = _own(maps[self.layer], self.neurons)
        y, x = self.cell or (own.shape[1] // 2, own.shape[2] // 2)
        return own[:, y, x]


@dataclass(frozen=True)
class Direction(_OfOneLayer):
    """Neurons with weights, on the mean over the map; the same for all images."""

    weights: Mapping[int, float]

    def __call__(self, maps: Maps) -> torch.Tensor:
        chosen = maps[self.layer][:, list(self.weights)].mean(dim=(2, 3))
        return chosen @ torch.tensor(list(self.weights.values()), dtype=chosen.dtype, device=chosen.device)


@dataclass(frozen=True)
class Amplified(_OfOneLayer):
    """All that a layer does, or some of its neurons: the mean of squares (Mordvintsev et al. 2015, deep dream)."""

    neurons: Sequence[int] | None = None

    def __call__(self, maps: Maps) -> torch.Tensor:
        found = maps[self.layer]
        chosen = found if self.neurons is None else found[:, list(self.neurons)]
        return functional.relu(chosen).square().mean(dim=(1, 2, 3))


@dataclass(frozen=True)
class Certain(_OfOneLayer):
    """Each image's own output, by the logarithm of its softmax: as certain as can be.

    ``kind`` says what the layer's values are, one of `indexer.defaults.OUTPUT_KINDS`.
    """

    outputs: Sequence[int]
    kind: str = LOGITS

    def __call__(self, maps: Maps) -> torch.Tensor:
        values = competing(maps[self.layer], self.kind)
        return _own(values.log_softmax(dim=1), self.outputs).mean(dim=(1, 2))


@dataclass(frozen=True)
class Different(_OfOneLayer):
    """How far apart the images of a batch are at a layer: less the mean cosine between their Gram matrices (Olah et al.
    2017).
    """

    def __call__(self, maps: Maps) -> torch.Tensor:
        flat = functional.normalize(gram(maps[self.layer]).flatten(1))
        alike = flat @ flat.T
        others = len(flat) - 1
        return -(alike.sum(dim=1) - alike.diagonal()) / max(others, 1)


@dataclass(frozen=True)
class Weighted:
    """Several objectives at once, each with its weight."""

    parts: Sequence[tuple[float, Objective]]

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(layer for _, part in self.parts for layer in part.layers))

    def __call__(self, maps: Maps) -> torch.Tensor:
        return torch.stack([weight * part(maps) for weight, part in self.parts]).sum(dim=0)


def competing(values: torch.Tensor, kind: str) -> torch.Tensor:
    """Outputs whose softmax is what the network says: logarithms where it returns probabilities.

    The softmax of probabilities is nearly flat, and so are its gradients. That of their logarithms gives them back,
    where they add up to one.
    """
    return values.clamp_min(torch.finfo(values.dtype).tiny).log() if kind == PROBABILITIES else values


def gram(maps: torch.Tensor) -> torch.Tensor:
    """Gram matrices (B, C, C) of maps (B, C, H, W): how neurons go together, wherever they do (Gatys et al. 2016)."""
    flat = maps.flatten(2)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def _own(maps: torch.Tensor, neurons: Sequence[int]) -> torch.Tensor:
    """Map (B, H, W) of each image's own neuron."""
    views = len(maps) // len(neurons)
    chosen = torch.tensor(list(neurons), device=maps.device).repeat_interleave(views)
    return maps[torch.arange(len(maps), device=maps.device), chosen]
