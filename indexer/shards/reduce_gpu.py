"""A layer's maps on a GPU -> what a shard keeps of them, without waiting for the GPU.

1. ``table = CountTable(channels, device)`` counts the activations of a shard on their device.
2. ``pending = start(maps, table)``, called in a forward pass, queues the reduction, the counting and the copies to the
   host. Without a table nothing is counted.
3. ``pending.batch(layer, paths)`` waits for the copies and returns what `indexer.shards.reduce.reduce_maps` returns.
4. ``table.histogram()``, after the last batch of the shard has arrived.

Meanwhile other threads run other passes, on streams of their own. Everything here also runs on a CPU, but slower than
`indexer.shards.reduce`.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from indexer.defaults import HALF_MAX
from indexer.shards.histogram import Histogram
from indexer.shards.maps import device_packer
from indexer.shards.maps.device_packer import PendingMaps, to_host
from indexer.shards.records import LayerBatch
from indexer.shards.reduce import refuse_non_finite

_CODES = 1 << 16
NEURON_BYTES = 4 * _CODES
"""Bytes of a table for each neuron."""
_MOST = 1 << 31  # counts stay below it
_AT_ONCE = 1 << 24
"""How many activations are worked on at once; their cell numbers or codes take 8 bytes each of the GPU's memory."""


class CountTable:
    """How often each neuron took each float16: (C, 65536) counts of 4 bytes on a device. Thread-safe."""

    def __init__(self, channels: int, device: torch.device) -> None:
        self.device = device
        self._channels = channels
        self._counts = torch.zeros(channels * _CODES, dtype=torch.int32, device=device)
        self._middle = torch.arange(channels, device=device).view(1, channels, 1, 1) * _CODES + (_CODES >> 1)
        self._ready = record_event(device)
        self._counted = 0
        self._before: list[Histogram] = []
        self._lock = threading.Lock()

    def add(self, half: torch.Tensor, times: int = 1) -> None:
        """Queue the counting of maps (B, C, H, W) float16; ``times`` -1 takes maps back that were counted."""
        with self._lock:
            if self._counted + half.numel() >= _MOST:
                self._empty()
            self._counted += half.numel()
            if self._ready is not None:
                self._ready.wait(torch.cuda.current_stream(half.device))
            keys = (self._middle + _signed_codes(half)).flatten()
            each = torch.full((), times, dtype=torch.int32, device=keys.device)
            self._counts.scatter_add_(0, keys, each.expand_as(keys))

    def histogram(self) -> Histogram:
        """The histogram of all maps that were added; their copies must have arrived."""
        with self._lock:
            if self._counted or not self._before:
                self._before.append(self._here())
            if len(self._before) > 1:
                self._before = [Histogram.merge(self._before)]
            return self._before[0]

    def _empty(self) -> None:
        if self._counts.is_cuda:
            torch.cuda.synchronize(self._counts.device)  # other streams may still be adding
        self._before.append(self._here())
        self._counts.zero_()
        self._ready = record_event(self._counts.device)

    def _here(self) -> Histogram:
        keys = self._counts.nonzero().flatten()
        counts = self._counts[keys].to("cpu", non_blocking=True)
        # Keys beyond int32 wrap here; reading them as uint32 below restores them.
        keys = keys.to(torch.int32).to("cpu", non_blocking=True)
        if (copied := record_event(self._counts.device)) is not None:
            copied.synchronize()
        self._counted = 0
        return Histogram(self._channels, keys.numpy().view(np.uint32), counts.numpy().astype(np.int64))


def record_event(device: torch.device) -> torch.cuda.Event | None:
    """An event to wait for until the GPU has finished this thread's work. None on a CPU, where the work is done."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


def _signed_codes(half: torch.Tensor) -> torch.Tensor:
    """The codes of `indexer.shards.histogram.recode`, less 32,768, as int16."""
    bits = half.view(torch.int16)
    codes = (bits >> 15).bitwise_and_(0x7FFF).bitwise_xor_(bits)
    return codes.masked_fill_(codes == -1, 0)  # -0


@dataclass(frozen=True)
class PendingBatch:
    """A reduced batch on its way from the device to the host; ``half`` stays on the device."""

    half: torch.Tensor
    maps: list[PendingMaps]
    peaks: torch.Tensor
    lowest: torch.Tensor
    cells: torch.Tensor
    saturated: torch.Tensor
    copied: torch.cuda.Event | None

    def batch(self, layer: str, paths: Sequence[str]) -> LayerBatch:
        """Wait for the copies and return the batch.

        Raises
        ------
        NotFinite
            NaN or infinity; names the layer and the first such image.
        """
        if self.copied is not None:
            self.copied.synchronize()
        refuse_non_finite(layer, self.peaks, self.lowest, paths)
        cells = self.cells.numpy().astype(np.uint32)
        maps = [image for part in self.maps for image in part.images()]
        return LayerBatch(maps, self.peaks.numpy(), cells, int(self.saturated))

    def take_back(self, table: CountTable | None) -> None:
        """Take the batch out of the counts again, because some of its images cannot be used."""
        if self.copied is not None:
            self.copied.synchronize()
        if table is not None:
            table.add(self.half, times=-1)


def start(maps: torch.Tensor, table: CountTable | None) -> PendingBatch:
    """Queue the reduction of maps (B, C, H, W), the counting, and the copies to the host."""
    maps = maps.to(torch.float32)
    # bfloat16 and float32 have a larger range than float16. NaN passes through; `batch` refuses it.
    half = maps.clamp(-HALF_MAX, HALF_MAX).to(torch.float16).contiguous()
    peaks, lowest = maps.amax(dim=(2, 3)), maps.amin(dim=(2, 3))
    saturated = (maps.abs() > HALF_MAX).sum()
    cells, packing = [], []
    size = max(1, _AT_ONCE // maps[0].numel())
    for first in range(0, len(maps), size):
        part = slice(first, first + size)
        cells.append(_first_cells(maps[part], peaks[part]))
        packing.append(device_packer.start(half[part]))
        if table is not None:
            table.add(half[part])
    return PendingBatch(
        half, packing, to_host(peaks), to_host(lowest), to_host(torch.cat(cells)), to_host(saturated),
        record_event(maps.device),
    )  # fmt: skip


def _first_cells(maps: torch.Tensor, peaks: torch.Tensor) -> torch.Tensor:
    """The first cell (B, C) of each map's peak. On a GPU, argmax may return any of several equal cells."""
    height, width = maps.shape[2:]
    numbers = torch.arange(height * width, dtype=torch.int32, device=maps.device).view(height, width)
    return torch.where(maps == peaks[:, :, None, None], numbers, height * width).amin(dim=(2, 3))
