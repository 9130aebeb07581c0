"""The FAISS index of a layer: activation vectors of the cells of every image, by cosine.

Vector ``i`` is cell ``grid[i % len(grid)]`` of image ``i // len(grid)`` of the image table, scaled to length 1 (a
vector of zeros stays one). The grid is all cells of a map of at most `CELLS`; larger maps, whose neighbouring cells see
nearly the same pixels, give every second or third cell each way. What FAISS finds only proposes: the cells around it
are scored from the kept maps.

Up to `FLAT_BYTES` the index is flat float16, exact but for rounding; beyond, an inverted file over
float16 whose number of probes is chosen so that recall@10, measured against exact search while it is filled, is at
least `indexer.derive.inverted.RECALL`.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.derive.images import LiveRows
from indexer.derive.inverted import read_inverted, training_vectors, write_index, write_inverted
from indexer.shards.reader import Shard
from indexer.store.manifest import LayerInfo

CELLS = 256
FLAT_BYTES = 1 << 29  # scanned in about 30 ms; training lists for less would take as long as indexing it
_MOST_TRAINING_VECTORS = 1 << 18
_BLOCK_IMAGES, _BLOCK_VECTORS = 64, 4096


def grid_step(height: int, width: int) -> int:
    """The smallest step, the same each way, that leaves at most `CELLS` cells of a map."""
    return next(step for step in range(1, max(height, width) + 1) if -(-height // step) * -(-width // step) <= CELLS)


def grid(height: int, width: int) -> np.ndarray:
    """Cells (G,) int64, y * W + x, whose vectors are indexed; the grid is centred."""
    step = grid_step(height, width)
    rows, columns = (np.arange((side - 1) % step // 2, side, step) for side in (height, width))
    return (rows[:, None] * width + columns).ravel()


def unit_vectors(maps: np.ndarray) -> np.ndarray:
    """Maps (C, H, W) -> the vectors (G, C) float32 of the grid's cells, of length 1 or 0."""
    vectors = maps.reshape(len(maps), -1)[:, grid(*maps.shape[1:])].T.astype(np.float32)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, length, out=vectors, where=length > 0)


def write_vectors(
    path: Path, lists: Path, layer: LayerInfo, shards: Sequence[Shard], live: Sequence[LiveRows]
) -> dict[str, Any]:
    """Build and write a layer's FAISS index, and its lists where it has any; say what it is, for the manifest."""
    count = (live[-1].end if live else 0) * len(grid(layer.height, layer.width))
    if count * layer.channels * 2 <= FLAT_BYTES:
        index = faiss.IndexScalarQuantizer(layer.channels, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        for block in _blocks(layer, shards, live):
            index.add(block)
        write_index(index, path)
        about: dict[str, Any] = {"type": "flat float16"}
    else:
        sample = _sample(layer, shards, live, min(training_vectors(count), _MOST_TRAINING_VECTORS))
        about = write_inverted(path, lists, sample, _blocks(layer, shards, live), count)
    return {"metric": "cosine", "count": count, "grid_step": grid_step(layer.height, layer.width), **about}


def read_vectors(path: Path, lists: Path | None) -> faiss.Index:
    """Open an index that `write_vectors` wrote, by memory mapping.

    Raises
    ------
    RuntimeError
        It is not what it was.
    """
    if lists is not None:
        return read_inverted(path, lists)
    return faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)


def _sample(layer: LayerInfo, shards: Sequence[Shard], live: Sequence[LiveRows], wanted: int) -> np.ndarray:
    """About ``wanted`` vectors (n, C), at least as many where there are, of images spread over the index."""
    places = [(part.shard, row) for part in live for row in part.rows.tolist()]
    cells = len(grid(layer.height, layer.width))
    step = max(1, len(places) * cells // wanted)
    sample = [unit_vectors(shards[shard].maps(layer.name, row)) for shard, row in places[::step]]
    return np.concatenate(sample)


def _blocks(layer: LayerInfo, shards: Sequence[Shard], live: Sequence[LiveRows]) -> Iterator[np.ndarray]:
    size = max(_BLOCK_IMAGES, _BLOCK_VECTORS // len(grid(layer.height, layer.width)))
    with ThreadPoolExecutor() as pool:
        for part in live:
            shard, rows = shards[part.shard], part.rows.tolist()
            for first in range(0, len(rows), size):
                maps = pool.map(lambda row, shard=shard: shard.maps(layer.name, row), rows[first : first + size])
                yield np.concatenate([unit_vectors(image) for image in maps])
