"""How forward passes share a machine."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import torch

from indexer.system.cores import cores
from indexer.system.threads import torch_pool

_AT_ONCE, _GPU_AT_ONCE = 4, 2
_CPU_BATCH, _GPU_BATCH = 8, 128
_GPU_BYTES = 1 << 28


def batch_size(device: torch.device, activations: int) -> int:
    """Images a forward pass, of so many activations each that are kept.

    Few on a CPU: maps of a batch that fit its caches, and that the allocator need not ask the system for, are worth
    more than longer loops (squeezenet1_1: 4.0 ms an image in batches of 8, 8.4 in batches of 32). Many on a GPU, which
    else waits for the host to queue its work, as long as a batch of float16 stays below `_GPU_BYTES`: some of them wait
    to be written.
    """
    if device.type == "cpu":
        return _CPU_BATCH
    return max(1, min(_GPU_BATCH, _GPU_BYTES // (2 * activations)))


def passes_at_once(device: torch.device) -> int:
    """How many forward passes run beside each other.

    On a CPU as many as there are cores, with few threads each: one pass on all cores waits, layer by layer, for the
    core that decodes or compresses something. More than `_AT_ONCE` would only need more memory. On a GPU of CUDA, whose
    threads can queue work beside each other, one computes while what another left is copied.
    """
    if device.type == "cpu":
        return min(cores(), _AT_ONCE)
    return _GPU_AT_ONCE if device.type == "cuda" else 1


class Passing(Protocol):
    """A network that runs passes, `indexer.network.forward.Network`."""

    device: torch.device

    def spread(self, count: int) -> int: ...


@contextmanager
def forward_pool(network: Passing, most: int | None = None) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """A pool for a network's forward passes, and how many it runs at once: at most so many, by default what suits."""
    at_once = network.spread(most or passes_at_once(network.device))
    with torch_pool(at_once, max(1, cores() // at_once)) as pool:
        yield pool, at_once
