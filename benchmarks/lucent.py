"""The recipe of the package lucent, restated: it does not run on the torch of today.

``images = ascend(network, "features.12", [412, 23], colours_of(natural), steps=128, seed=0)``

As its ``render_vis`` does by default: amplitudes of waves, fallen as 1 / frequency, in colours that do not go together;
grey pads of 12 pixels, moved by up to 7 pixels, scaled by up to 10 %, turned by up to 10 degrees, moved by up to 3
pixels, with black where nothing is left; Adam at 0.05; the mean over the neuron's map as the layer gives it, so behind
the ReLU. Two things differ. Its colours are those of ImageNet; here they are measured on the index's own photographs.
Each image is as large as the network's input, and each step's view is one for all neurons of a batch.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torchvision.transforms.v2 import functional as moves

from indexer.network.forward import Network
from indexer.receptive_field.graph.copies import plain_copy
from indexer.synthesis.images.natural import Natural
from indexer.synthesis.images.pixels import to_pixels

_PAD: Final = 12
_JITTERS: Final = (8, 4)
_SCALES: Final = tuple(1 + (number - 5) / 50 for number in range(11))
_ANGLES: Final = (*range(-10, 11), *[0] * 5)
_RATE: Final = 0.05
_START: Final = 0.01
_DAMPED: Final = 4.0


def colours_of(natural: Natural) -> torch.Tensor:
    """The matrix (3, 3) from free values to colours before the sigmoid: its longest column has length 1."""
    root = torch.from_numpy(natural.colours.matrix).float()
    return root / root.norm(dim=0).max()


def ascend(
    network: Network, layer: str, neurons: Sequence[int], colours: torch.Tensor, steps: int, seed: int
) -> np.ndarray:
    """Images (n, h, w, 3) uint8, one for each neuron."""
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    size = network.model.preprocessing.input_size
    mean, std = (
        torch.tensor(of).view(1, 3, 1, 1)
        for of in (network.model.preprocessing.mean, network.model.preprocessing.std)
    )  # fmt: skip
    see = _Layer(network, layer)
    scale = _scale(size)
    waves = (torch.randn(len(neurons), 3, *scale.shape, 2) * _START).requires_grad_()
    optimiser = torch.optim.Adam([waves], lr=_RATE)
    own = torch.arange(len(neurons)), torch.tensor(list(neurons))

    def images() -> torch.Tensor:
        values = torch.fft.irfft2(torch.view_as_complex(waves) * scale, s=size, norm="ortho") / _DAMPED
        return torch.sigmoid(torch.einsum("ij,bjhw->bihw", colours, values))

    for _ in range(steps):
        optimiser.zero_grad()
        maps = see((viewed(images(), rng) - mean) / std)
        (-maps[own].mean(dim=(1, 2)).sum()).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return to_pixels(images())


def viewed(images: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """The images in a view of the recipe; somewhat larger than they are."""
    padded = functional.pad(images, [_PAD] * 4, value=0.5)
    seen = _scaled(_jittered(padded, _JITTERS[0], rng), float(rng.choice(_SCALES)))
    return _jittered(_affine(seen, float(rng.choice(_ANGLES)), (0, 0)), _JITTERS[1], rng)


def _jittered(images: torch.Tensor, by: int, rng: np.random.Generator) -> torch.Tensor:
    right, down = rng.integers(by, size=2).tolist()
    return _affine(images, 0.0, (right, down))


def _scaled(images: torch.Tensor, scale: float) -> torch.Tensor:
    sides = [int(np.ceil(side * scale)) for side in images.shape[2:]]
    larger = functional.interpolate(images, sides, mode="bilinear", align_corners=True)
    down, right = (max(0, -(-(was - side) // 2)) for was, side in zip(images.shape[2:], sides, strict=True))
    return functional.pad(larger, [right, right, down, down])


def _affine(images: torch.Tensor, angle: float, moved: tuple[int, int]) -> torch.Tensor:
    result: torch.Tensor = moves.affine(
        images, angle, list(moved), 1.0, [0.0, 0.0], interpolation=moves.InterpolationMode.BILINEAR
    )
    return result


def _scale(size: tuple[int, int]) -> torch.Tensor:
    height, width = size
    frequency = torch.hypot(torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None])
    return 1 / frequency.clamp(min=1 / max(size))


class _Layer:
    """The maps of a layer, as it gives them."""

    def __init__(self, network: Network, layer: str) -> None:
        self._model = plain_copy(network.model.module)
        for weight in self._model.parameters():
            weight.requires_grad_(False)
        self._found: list[torch.Tensor] = []
        self._model.get_submodule(layer).register_forward_hook(self._keep)

    def _keep(self, module: nn.Module, given: object, output: torch.Tensor) -> None:
        self._found.append(output)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self._found.clear()
        self._model(batch)
        return self._found.pop()
