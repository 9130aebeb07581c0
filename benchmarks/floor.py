"""The least that indexing could cost: decoding and the truncated forward pass, as fast as this machine has them."""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from indexer.images.listing import ImageFile
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode_ahead
from indexer.network.forward import Network
from indexer.network.passes.threads import forward_pool, passes_at_once


def floor(root: Path, files: list[ImageFile], network: Network) -> None:
    """Decode with the indexer's decoder, ahead of the indexer's network, in its batches and threads; keep nothing."""
    size = network.batch_size
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ahead = 2 * size * passes_at_once(network.device)
        passes(network, decode_ahead(root, enumerate(files), network.model.preprocessing, False, pool, ahead), size)


def passes(network: Network, decoded: Iterator[Decoded | Skipped], size: int) -> None:
    """Run the indexer's network, in batches of a size and in its threads, over images that come decoded."""
    waiting: deque[Future] = deque()
    usable = (result.pixels for result in decoded if isinstance(result, Decoded))

    def queued(layer: str, maps: torch.Tensor) -> torch.cuda.Event | None:
        return torch.cuda.current_stream(maps.device).record_event() if maps.is_cuda else None

    def forward(batch: list[np.ndarray]) -> None:
        for computed in network.run(network.stacked(batch), queued).values():
            if computed is not None:
                computed.synchronize()

    with forward_pool(network) as (forwards, at_once):
        while batch := list(itertools.islice(usable, size)):
            waiting.append(forwards.submit(forward, batch))
            if len(waiting) > at_once + 1:
                waiting.popleft().result()
        for future in waiting:
            future.result()
