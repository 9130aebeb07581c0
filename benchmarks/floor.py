"""The least that indexing could cost: decoding and the truncated forward pass, as fast as this machine has them."""

import itertools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from indexer.images.listing import ImageFile
from indexer.jobs.decode import Decoded, decode_ahead
from indexer.network.forward import Network
from indexer.network.threads import batch_size, forward_pool


def floor(root: Path, files: list[ImageFile], network: Network) -> None:
    """Decode with the indexer's decoder, ahead of the indexer's network, in its batches and threads; keep nothing."""
    size = batch_size(network.device)
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(os.cpu_count()) as pool, forward_pool(network.device) as (forwards, at_once):
        decoded = decode_ahead(root, enumerate(files), network.model.preprocessing, False, pool, 2 * size * at_once)
        usable = (result.pixels for result in decoded if isinstance(result, Decoded))
        while batch := list(itertools.islice(usable, size)):
            waiting.append(forwards.submit(network.run, np.stack(batch), lambda layer, maps: None))
            if len(waiting) > at_once + 1:
                waiting.popleft().result()
        for future in waiting:
            future.result()
