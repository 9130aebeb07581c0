"""A layer's maps -> what a shard keeps of them; on a GPU, `indexer.shards.reduce_gpu` does it."""

from collections.abc import Sequence

import numpy as np
import torch

from indexer.errors import NotFinite
from indexer.shards.format import HALF_MAX
from indexer.shards.histogram import recode
from indexer.shards.records import LayerBatch

_INFINITE = 0x7C00  # the bits of float16's infinity


def reduce_maps(layer: str, maps: torch.Tensor, paths: Sequence[str]) -> LayerBatch:
    """Reduce maps (B, C, H, W) of a layer, on the CPU, to what is kept.

    Raises
    ------
    NotFinite
        NaN or infinity; names the layer and the first such image.
    """
    maps = maps.to(torch.float32)
    peaks = maps.amax(dim=(2, 3))
    half, saturated = _halved(maps), 0
    if not _is_plain(half, peaks):
        lowest = maps.amin(dim=(2, 3))
        refuse_non_finite(layer, peaks, lowest, paths)
        if bool((peaks > HALF_MAX).any() | (lowest < -HALF_MAX).any()):
            saturated = int((maps.abs() > HALF_MAX).sum())
            half = _halved(maps.clamp(-HALF_MAX, HALF_MAX))
    kept = half.numpy()
    cells = _first_argmax(maps.numpy(), peaks.numpy(), kept)
    return LayerBatch(kept, peaks.numpy(), cells.astype(np.uint32), saturated)


def _halved(maps: torch.Tensor) -> torch.Tensor:
    """Contiguous float16 (B, C, H, W); what is beyond its range becomes infinite.

    Image by image: torch transposes matrices in blocks, and only those.
    """
    if maps.is_contiguous():
        return maps.to(torch.float16).contiguous()
    images, channels, height, width = maps.shape
    kept = torch.empty((images, channels, height * width), dtype=torch.int16)
    for image, of_image in zip(kept, maps.permute(0, 2, 3, 1), strict=True):
        image.copy_(of_image.reshape(height * width, channels).to(torch.float16).view(torch.int16).t())
    return kept.view(torch.float16).view(maps.shape)


def _is_plain(half: torch.Tensor, peaks: torch.Tensor) -> bool:
    """Whether everything is finite, positive or zero, and in range, as behind a ReLU: told from the bits alone."""
    lowest, highest = torch.aminmax(half.view(torch.int16))
    return bool((lowest >= 0) & (highest < _INFINITE)) and bool(peaks.max() <= HALF_MAX)


def _first_argmax(maps: np.ndarray, peaks: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The first cell (B, C) of the highest activation.

    Sought among the codes of the kept halves, where numpy is fastest. Rounding keeps order, so the first cell of the
    highest half is the first of the highest activation, unless a lower activation before it became the same half.
    """
    images, channels, _, width = maps.shape
    bits = kept.view(np.uint16)
    codes = (bits if bits.max() < _INFINITE else recode(kept)).reshape(images, channels, -1)
    cells: np.ndarray = codes.argmax(axis=2)
    image, channel = np.ogrid[:images, :channels]
    for b, c in zip(*np.nonzero(maps[image, channel, cells // width, cells % width] != peaks), strict=True):
        equal = np.flatnonzero(codes[b, c] == codes[b, c, cells[b, c]])
        cells[b, c] = equal[maps[b, c, equal // width, equal % width].argmax()]
    return cells


def refuse_non_finite(layer: str, peaks: torch.Tensor, lowest: torch.Tensor, paths: Sequence[str]) -> None:
    """Raise NotFinite where a highest or lowest activation (B, C) is not finite; names the first such image."""
    # max and min hand on NaN, so these two see every kind of bad value.
    bad = ~(torch.isfinite(peaks) & torch.isfinite(lowest))
    if bool(bad.any()):
        image, neuron = (int(i) for i in bad.nonzero()[0])
        rows = tuple(bad.any(dim=1).nonzero().flatten().tolist())
        where = f"layer {layer!r}, neuron {neuron}"
        raise NotFinite(
            f"{where} gives NaN or infinity on the image {paths[image]}; the model or its weights are broken for it",
            rows,
            f"the network gives NaN or infinity on it ({where})" if len(rows) == 1 else
            f"the network gives NaN or infinity on it (layer {layer!r})",
        )  # fmt: skip
