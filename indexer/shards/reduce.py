"""A layer's maps -> what a shard keeps of them; on a GPU, `indexer.shards.reduce_gpu` does it."""

from collections.abc import Sequence

import numpy as np
import torch

from indexer.defaults import HALF_MAX
from indexer.errors import NotFinite
from indexer.shards.histogram import recode
from indexer.shards.maps import kernels
from indexer.shards.maps.packer import packed, reduced_and_packed
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
    return _in_one_pass(maps) or _step_by_step(layer, maps, paths)


def _in_one_pass(maps: torch.Tensor) -> LayerBatch | None:
    """The batch, if the maps lie channels last in memory and every activation is in float16's range."""
    images, channels, height, width = maps.shape
    channels_last = maps.is_contiguous(memory_format=torch.channels_last) and not maps.is_contiguous()
    if not (kernels.REDUCES and channels_last):
        return None
    rows = maps.permute(0, 2, 3, 1).reshape(images, height * width, channels).numpy()
    peaks, cells = np.empty((images, channels), np.float32), np.empty((images, channels), np.uint32)
    packing = [reduced_and_packed(*image) for image in zip(rows, peaks, cells, strict=True)]
    whole = [image for image in packing if image is not None]
    return LayerBatch(whole, peaks, cells, saturated=0) if len(whole) == images else None


def _step_by_step(layer: str, maps: torch.Tensor, paths: Sequence[str]) -> LayerBatch:
    peaks = maps.amax(dim=(2, 3))
    half, saturated = _halved(maps), 0
    if not _is_plain(half, peaks):
        lowest = maps.amin(dim=(2, 3))
        refuse_non_finite(layer, peaks, lowest, paths)
        if bool((peaks > HALF_MAX).any() | (lowest < -HALF_MAX).any()):
            saturated = int((maps.abs() > HALF_MAX).sum())
            half = _halved(maps.clamp(-HALF_MAX, HALF_MAX))
    halves = half.numpy()
    cells = _first_argmax(maps.numpy(), peaks.numpy(), halves)
    return LayerBatch([packed(image) for image in halves], peaks.numpy(), cells.astype(np.uint32), saturated)


def _halved(maps: torch.Tensor) -> torch.Tensor:
    """Maps as contiguous float16 (B, C, H, W). Values beyond its range become infinite.

    Maps that are not contiguous are copied image by image, because torch has a fast transpose for matrices only.
    """
    if maps.is_contiguous():
        return maps.to(torch.float16).contiguous()
    images, channels, height, width = maps.shape
    halves = torch.empty((images, channels, height * width), dtype=torch.int16)
    for image, of_image in zip(halves, maps.permute(0, 2, 3, 1), strict=True):
        image.copy_(of_image.reshape(height * width, channels).to(torch.float16).view(torch.int16).t())
    return halves.view(torch.float16).view(maps.shape)


def _is_plain(half: torch.Tensor, peaks: torch.Tensor) -> bool:
    """Whether all activations are finite, in range and not negative, as behind a ReLU. The bits alone tell it."""
    lowest, highest = torch.aminmax(half.view(torch.int16))
    return bool((lowest >= 0) & (highest < _INFINITE)) and bool(peaks.max() <= HALF_MAX)


def _first_argmax(maps: np.ndarray, peaks: np.ndarray, halves: np.ndarray) -> np.ndarray:
    """The first cell (B, C) of the highest activation.

    numpy searches fastest among the codes of the kept float16. Rounding keeps the order of activations. So the first
    cell with the highest float16 is the right one, unless a lower activation before it was rounded to the same float16.
    """
    images, channels, _, width = maps.shape
    bits = halves.view(np.uint16)
    codes = (bits if bits.max() < _INFINITE else recode(halves)).reshape(images, channels, -1)
    cells: np.ndarray = codes.argmax(axis=2)
    image, channel = np.ogrid[:images, :channels]
    for b, c in zip(*np.nonzero(maps[image, channel, cells // width, cells % width] != peaks), strict=True):
        equal = np.flatnonzero(codes[b, c] == codes[b, c, cells[b, c]])
        cells[b, c] = equal[maps[b, c, equal // width, equal % width].argmax()]
    return cells


def refuse_non_finite(layer: str, peaks: torch.Tensor, lowest: torch.Tensor, paths: Sequence[str]) -> None:
    """Raise NotFinite, naming the first such image, if a highest or lowest activation (B, C) is not finite."""
    # max and min pass NaN on, so checking these two finds every NaN and infinity.
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
