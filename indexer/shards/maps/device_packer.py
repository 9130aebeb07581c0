"""Packs maps on a GPU, see `indexer.shards.maps.packing`: only bits and values are copied to the host.

1. ``packing = start(half)`` queues the work and the copies of bits and counts, without waiting for the GPU.
2. ``packing.images()``, once these copies have arrived, copies the values, whose number is known then.

Everything here also runs on a CPU, but slower than `indexer.shards.maps.packer`.
"""

from dataclasses import dataclass

import numpy as np
import torch

from indexer.shards.maps.packing import PackedMaps, row_bytes


@dataclass(frozen=True)
class PendingMaps:
    """The maps of some images, packed on a device.

    Attributes
    ----------
    present : Tensor (B, C, ceil(cells / 8)) uint8
        On the host, or on the way there; ``counts`` too.
    counts : Tensor (B, C) int64
        How many values each neuron has.
    values : Tensor (B * C * cells,) int16
        On the device: the values first, then as many zeros as there are.
    cells : int
    """

    present: torch.Tensor
    counts: torch.Tensor
    values: torch.Tensor
    cells: int

    def images(self) -> list[PackedMaps]:
        """The packed maps of each image; ``present`` and ``counts`` must have arrived."""
        ends = self.counts.numpy().cumsum(axis=1)
        lasts = ends[:, -1].cumsum()
        values = self.values[: int(lasts[-1])].cpu().numpy().view(np.uint16)
        parts = np.split(values, lasts[:-1])
        return [PackedMaps(*image, self.cells) for image in zip(self.present.numpy(), parts, ends, strict=True)]


def start(half: torch.Tensor) -> PendingMaps:
    """Queue the packing of maps (B, C, H, W) float16, contiguous."""
    images, channels, height, width = half.shape
    bits = half.view(torch.int16).reshape(images, channels, height * width)
    there = bits != 0
    return PendingMaps(to_host(_bytes_of(there)), to_host(there.sum(dim=2)), _values_first(bits, there), bits.shape[2])


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """Copy to the host; from a GPU the copy is queued, and an event recorded behind it tells when it has arrived."""
    return tensor.to("cpu", non_blocking=tensor.is_cuda)


def _bytes_of(there: torch.Tensor) -> torch.Tensor:
    """Booleans (B, C, cells) as bits, the lowest first, (B, C, ceil(cells / 8)) uint8."""
    images, channels, cells = there.shape
    width = row_bytes(cells)
    padded = torch.nn.functional.pad(there, (0, 8 * width - cells)).view(images, channels, width, 8)
    weights = 1 << torch.arange(8, dtype=torch.uint8, device=there.device)
    return (padded * weights).sum(dim=3, dtype=torch.uint8)


def _values_first(bits: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """The numbers of ``bits`` where something is, in their order, then the others.

    Selecting them would make the host wait for their number. So each gets a place of its own, the others from the end.
    """
    flat, chosen = bits.flatten(), there.flatten()
    rank = chosen.cumsum(0)
    others = torch.arange(len(flat), device=bits.device).sub_(rank)
    places = torch.where(chosen, rank - 1, len(flat) - 1 - others)
    return torch.empty_like(flat).scatter_(0, places, flat)
