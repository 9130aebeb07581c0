"""A layer's maps -> what a shard keeps of them, on the device where they are."""

from collections.abc import Sequence

import numpy as np
import torch

from indexer.errors import BadActivations
from indexer.shards.format import HALF_MAX
from indexer.shards.writer import LayerBatch


def reduce_maps(layer: str, maps: torch.Tensor, paths: Sequence[str]) -> LayerBatch:
    """Reduce maps (B, C, H, W) of a layer to what is kept, on the device where they are.

    Raises
    ------
    BadActivations
        NaN or infinity; names the layer and the first such image.
    """
    maps = maps.to(torch.float32)
    peaks, lowest = maps.amax(dim=(2, 3)), maps.amin(dim=(2, 3))
    flat = maps.contiguous().flatten(2)
    cells = _first_argmax(flat)
    _refuse_non_finite(layer, peaks, lowest, paths)
    saturated = 0
    if bool((peaks > HALF_MAX).any() | (lowest < -HALF_MAX).any()):
        saturated = int((flat.abs() > HALF_MAX).sum())
        flat = flat.clamp(-HALF_MAX, HALF_MAX)
    half = flat.to(torch.float16).view(maps.shape).contiguous()
    return LayerBatch(half.cpu().numpy(), peaks.cpu().numpy(), cells.astype(np.uint32), saturated)


def _first_argmax(flat: torch.Tensor) -> np.ndarray:
    """The first of the highest along the last axis; on the CPU numpy finds it several times faster than torch."""
    return flat.numpy().argmax(axis=2) if flat.device.type == "cpu" else flat.argmax(dim=2).cpu().numpy()


def _refuse_non_finite(layer: str, peaks: torch.Tensor, lowest: torch.Tensor, paths: Sequence[str]) -> None:
    # max and min hand on NaN, so these two see every kind of bad value.
    bad = ~(torch.isfinite(peaks) & torch.isfinite(lowest))
    if bool(bad.any()):
        image, neuron = (int(i) for i in bad.nonzero()[0])
        raise BadActivations(
            f"layer {layer!r}, neuron {neuron} gives NaN or infinity on the image {paths[image]}; "
            "the model or its weights are broken for it, nothing of it was kept"
        )
