"""Batches of decoded images -> what a shard keeps of them, by forward passes that are checked.

1. ``for batch in batches(decoded, size)`` gathers usable images.
2. ``passes = Passes(network, pool, size, bad_images)``; ``passes.start(batch, tables)`` begins a pass in the pool.
   Before the first batch, and now and then, passes are compared. Images on which the network gives NaN or infinity are
   skipped.
3. ``started.result()`` waits for the pass and says what a shard keeps of it.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch

from indexer.errors import NotFinite
from indexer.jobs.pipeline.decode import Decoded, Skipped
from indexer.network.forward import Network
from indexer.network.trial import IMAGES, Trial
from indexer.shards import reduce_gpu
from indexer.shards.records import IndexedImage, LayerBatch
from indexer.shards.reduce import reduce_maps

_TABLES_SHARE = 8
"""A shard's tables take at most this fraction (1/8) of a GPU's memory, which may hold the tables of two shards."""
_TRIED_AT, _TRIED_EVERY = (16, 128), 1024
"""Passes are compared again before the 16th and the 128th batch, and before every 1024th."""


@dataclass(frozen=True)
class Batch:
    usable: list[Decoded]
    skipped: list[Skipped]


@dataclass(frozen=True)
class Forwarded:
    """A batch after its forward pass: what the shard keeps of its images, and which images were skipped."""

    images: list[IndexedImage]
    layers: dict[str, LayerBatch]
    skipped: list[Skipped]


@dataclass(frozen=True)
class StartedPass:
    """A batch on its way through the network, and the comparison that was due before it, if there was one."""

    forwarded: Future[Forwarded]
    comparison: Future[None] | None

    def result(self) -> Forwarded:
        """Wait for both.

        Raises
        ------
        NotReproducible
            The comparison found a difference.
        NotFinite
            The network gives NaN or infinity on more images than the job allows.
        """
        if self.comparison is not None:
            self.comparison.result()
        return self.forwarded.result()


class Passes:
    """Starts the forward passes of a job in a pool, and the comparisons that are due before them."""

    def __init__(self, network: Network, pool: ThreadPoolExecutor, batch_size: int, bad_images: int) -> None:
        self._network, self._pool = network, pool
        self._checks = Checks(network, pool, batch_size)
        self._bad = BadImages(bad_images)

    def start(self, batch: Batch, tables: "Tables") -> StartedPass:
        """Start a pass; before the first batch of the job, wait for the comparisons of `Checks.next`."""
        comparison = self._checks.next(batch)
        return StartedPass(self._pool.submit(forward, self._network, batch, tables, self._bad), comparison)


class Checks:
    """Compares passes, before the first batch of a job and then now and then; see `indexer.network.trial`.

    The first batch of several images, whichever that is, tells whether an image alone gives what it gives in a batch.
    """

    def __init__(self, network: Network, forwards: ThreadPoolExecutor, batch_size: int) -> None:
        self._network, self._forwards, self._images = network, forwards, min(IMAGES, batch_size)
        self._trial: Trial | None = None
        self._batches = 0
        self._of_several = False

    def next(self, batch: Batch) -> Future[None] | None:
        """Run the comparison that is due before this batch. Returns it as a future if it runs beside other passes."""
        if not batch.usable:
            return None
        pixels = np.stack([result.pixels for result in batch.usable[: self._images]])
        self._batches += 1
        first_of_several = len(pixels) > 1 and not self._of_several
        self._of_several |= first_of_several
        if self._trial is None:
            self._trial = Trial(self._network, pixels)
            self._trial.begin(self._forwards)
        elif first_of_several or self._batches in _TRIED_AT or self._batches % _TRIED_EVERY == 0:
            return self._forwards.submit(self._trial.again, pixels)
        return None


class BadImages:
    """Counts images on which the network gives NaN or infinity. Thread-safe."""

    def __init__(self, most: int) -> None:
        self._most, self._count, self._lock = most, 0, threading.Lock()

    def count(self, error: NotFinite) -> None:
        """Count the images of an error; raise it if there are now too many of them."""
        with self._lock:
            self._count += len(error.rows)
            if self._count <= self._most:
                return
        exceeded = f"; more than {self._most} images are like that" if self._most else ""
        raise NotFinite(f"{error}{exceeded}; nothing of it was kept", error.rows, error.reason) from error


def batches(results: Iterator[Decoded | Skipped], size: int) -> Iterator[Batch]:
    usable: list[Decoded] = []
    skipped: list[Skipped] = []
    for result in results:
        if isinstance(result, Skipped):
            skipped.append(result)
            continue
        usable.append(result)
        if len(usable) == size:
            yield Batch(usable, skipped)
            usable, skipped = [], []
    if usable or skipped:
        yield Batch(usable, skipped)


Tables = dict[str, reduce_gpu.CountTable]


def tables_of(network: Network) -> Tables:
    """Tables that count a shard's activations on a GPU with room for them. Empty otherwise: the writer counts them."""
    if network.device.type != "cuda":
        return {}
    needed = sum(shape[0] for shape in network.shapes.values()) * reduce_gpu.NEURON_BYTES
    if needed > torch.cuda.get_device_properties(network.device).total_memory // _TABLES_SHARE:
        return {}
    return {layer: reduce_gpu.CountTable(shape[0], network.device) for layer, shape in network.shapes.items()}


def forward(network: Network, batch: Batch, tables: Tables, bad: BadImages) -> Forwarded:
    """Run the network on a batch; skip images on which it gives NaN or infinity."""
    usable, skipped = batch.usable, batch.skipped
    while usable:
        try:
            return Forwarded([result.image for result in usable], _reduced(network, usable, tables), skipped)
        except NotFinite as error:
            bad.count(error)
            skipped = [*skipped, *(Skipped(usable[row].image.path, error.reason) for row in error.rows)]
            usable = [result for row, result in enumerate(usable) if row not in error.rows]
    return Forwarded([], {}, skipped)


def _reduced(network: Network, usable: list[Decoded], tables: Tables) -> dict[str, LayerBatch]:
    paths = [result.image.path for result in usable]
    pixels = network.stacked([result.pixels for result in usable])
    if not works_by_itself(network):
        return network.run(pixels, lambda layer, maps: reduce_maps(layer, maps, paths))
    pending = network.run(pixels, lambda layer, maps: reduce_gpu.start(maps, tables.get(layer)))
    try:
        return {layer: part.batch(layer, paths) for layer, part in pending.items()}
    except NotFinite:
        for layer, part in pending.items():
            part.take_back(tables.get(layer))
        raise


def works_by_itself(network: Network) -> bool:
    """Whether the network's device works beside the processor. Maps are then reduced there, before they are copied."""
    return network.device.type != "cpu"
