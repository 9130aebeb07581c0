"""The FAISS index of a layer: activation vectors of the cells of every image, by cosine.

Vector ``i`` is cell ``grid[i % len(grid)]`` of image ``i // len(grid)`` of the image table, scaled to length 1; a
vector of zeros stays as it is. In a map of at most `CELLS` cells, all cells are in the grid. Neighbouring cells of a
larger map see nearly the same pixels, so its grid takes every second or third cell in each direction. FAISS only
proposes cells; the cells around them are scored from the kept maps.

Up to `FLAT_BYTES` the index is flat float16, exact except for rounding. Beyond, it is an inverted file of codes of one
bit for each number, up to `FEW_LISTS_BYTES` of few lists. The numbers of probed lists and of candidates are chosen so
that recall@10 is at least `indexer.derive.nearest.ivf.RECALL`. Recall is measured against exact search while the file
is filled. Where no choice reaches it, up to `FALLBACK_BYTES` the index is flat after all.
"""

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from indexer.derive.executor import Executor, in_order, runs
from indexer.derive.nearest.faiss_names import faiss_name
from indexer.derive.nearest.ivf import (
    RECALL,
    Part,
    Trained,
    fill,
    list_count,
    read_inverted,
    training_vectors,
    write_index,
    write_inverted,
)
from indexer.derive.nearest.rabitq import few_lists, train_codes
from indexer.derive.sources import Sources, opened
from indexer.index.configuration import LayerInfo
from indexer.store.storage import Location, storage_at
from indexer.system.threads import in_threads

CELLS = 256
FLAT_BYTES = 1 << 26  # as float16, whatever is kept; scanned in about 5 ms
FEW_LISTS_BYTES = 1 << 30  # for fewer bytes, training many lists would take as long as indexing
FALLBACK_BYTES = 1 << 29  # scanned in about 30 ms
PART_BYTES = 1 << 27
_SAMPLE_BYTES = 1 << 29
_SAMPLED_IMAGES = 4096
_IMAGE_SAMPLES = 4
"""Fewest vectors that are sampled of an image, if it has as many: reading its maps costs more than taking vectors."""
_QUERIES, _FEW_QUERIES = 256, 64
_BLOCK_IMAGES, _BLOCK_VECTORS = 64, 4096
_PORTION = 8


def grid_step(height: int, width: int) -> int:
    """The smallest step, the same in both directions, that leaves at most `CELLS` cells of a map."""
    return next(step for step in range(1, max(height, width) + 1) if -(-height // step) * -(-width // step) <= CELLS)


def grid(height: int, width: int) -> np.ndarray:
    """The cells (G,) int64, y * W + x, whose vectors are indexed. The grid is centred in the map."""
    return np.arange(height * width).reshape(height, width)[_axes(height, width)].ravel()


def _axes(height: int, width: int) -> tuple[slice, slice]:
    step = grid_step(height, width)
    return slice((height - 1) % step // 2, None, step), slice((width - 1) % step // 2, None, step)


def unit_vectors(maps: np.ndarray) -> np.ndarray:
    """Maps (C, H, W) float16 -> the vectors (G, C) float32 of the grid's cells, of length 1 or 0."""
    import torch  # here, because reading derived files does not need it; it converts float16 40 times as fast as numpy

    cells = maps[:, *_axes(*maps.shape[1:])].reshape(len(maps), -1)
    halves = cells.T.copy()
    vectors = torch.from_numpy(halves).to(torch.float32).numpy()
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    length[length == 0] = 1
    np.divide(vectors, length, out=vectors)
    return vectors


def write_vectors(path: Path, lists: Path, layer: LayerInfo, sources: Sources, executor: Executor) -> dict[str, Any]:
    """Build and write a layer's FAISS index, and its lists if it has any. Returns its description for the manifest.

    The files are the same, byte for byte, whichever executor runs the parts, as long as its devices are of one kind.
    """
    count = opened(sources).images * len(grid(layer.height, layer.width))
    size = count * layer.channels * 2
    if size <= FLAT_BYTES:
        about = _write_flat(path, layer, sources, executor)
    else:
        few = size <= FEW_LISTS_BYTES
        number, queries = (few_lists(count), _FEW_QUERIES) if few else (list_count(count), _QUERIES)
        sample = _sample(sources, layer, training_vectors(number))
        trained = train_codes(sample, number, _queries(sources, layer, queries))
        del sample
        about = _write_codes(path, lists, layer, sources, executor, trained)
        if about["recall_at_10"] < RECALL and size <= FALLBACK_BYTES:
            lists.unlink()
            about = _write_flat(path, layer, sources, executor)
    return {"metric": "cosine", "count": count, "grid_step": grid_step(layer.height, layer.width), **about}


def _write_flat(path: Path, layer: LayerInfo, sources: Sources, executor: Executor) -> dict[str, Any]:
    index = _flat(layer)
    for codes in in_order(executor.run(codes_of, _parts(sources, layer))):
        index.add_sa_codes(codes)
    write_index(index, path)
    return {"type": "flat float16"}


def _write_codes(
    path: Path, lists: Path, layer: LayerInfo, sources: Sources, executor: Executor, trained: Trained
) -> dict[str, Any]:
    with _shared(trained.index, path, sources, executor) as file:
        tasks = [(*task, file, trained.queries) for task in _parts(sources, layer)]
        return write_inverted(path, lists, trained, executor.run(filled_part, tasks))


def read_vectors(path: Path, lists: Path | None) -> faiss.Index:
    """Open an index that `write_vectors` wrote, by memory mapping.

    Raises
    ------
    RuntimeError
        The file has changed since it was written.
    """
    if lists is not None:
        return read_inverted(path, lists)
    with faiss_name(path) as name:
        return faiss.read_index(name, faiss.IO_FLAG_MMAP | faiss.IO_FLAG_MMAP_IFC | faiss.IO_FLAG_READ_ONLY)


def codes_of(sources: Sources, layer: LayerInfo, first: int, end: int) -> np.ndarray:
    """The vectors (n, 2 C) uint8 of images ``first`` to ``end`` of the table, in the bytes of a flat index."""
    import torch

    inputs = opened(sources)
    codes = torch.empty((end - first, len(grid(layer.height, layer.width)), layer.channels), dtype=torch.float16)

    def encode(images: range) -> None:
        for image in images:
            vectors = unit_vectors(inputs.maps(layer.name, image))
            # FAISS rounds ties away from zero, torch rounds them to even. With the last bit set there are no ties.
            vectors.view(np.int32)[:] |= 1
            codes[image - first] = torch.from_numpy(vectors)

    for _ in in_threads(encode, [_portions(first, end)]):
        pass
    return codes.flatten(0, 1).numpy().view(np.uint8)


def _portions(first: int, end: int) -> list[range]:
    """The images in portions, each for one thread."""
    return [range(first + start, first + stop) for start, stop in runs(end - first, _PORTION)]


def filled_part(
    sources: Sources, layer: LayerInfo, first: int, end: int, trained: Location, queries: np.ndarray
) -> Part:
    """The part of an inverted file that holds the vectors of images ``first`` to ``end`` of the table.

    ``trained`` is the file of the trained, empty index.
    """
    cells = len(grid(layer.height, layer.width))
    return fill(_trained(trained), _blocks(sources, layer, range(first, end)), first * cells, queries)


@functools.lru_cache(maxsize=1)
def _trained(file: Location) -> faiss.Index:
    with faiss_name(storage_at(file).local_file(file.name)) as name:
        return faiss.read_index(name)


@contextmanager
def _shared(index: faiss.Index, path: Path, sources: Sources, executor: Executor) -> Iterator[Location]:
    file = path.with_suffix(".trained")
    write_index(index, file)
    with executor.sharing(file, sources.table.parent) as shared:
        yield shared
    file.unlink()


def _flat(layer: LayerInfo) -> faiss.Index:
    return faiss.IndexScalarQuantizer(layer.channels, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)


def _parts(sources: Sources, layer: LayerInfo) -> list[tuple[Sources, LayerInfo, int, int]]:
    image_bytes = len(grid(layer.height, layer.width)) * layer.channels * 2
    size = max(1, PART_BYTES // image_bytes)
    return [(sources, layer, *run) for run in runs(opened(sources).images, size)]


def _sample(sources: Sources, layer: LayerInfo, wanted: int) -> np.ndarray:
    """At most ``wanted`` vectors (n, C) from the whole index, always the same ones.

    They come from at most `_SAMPLED_IMAGES` images, unless these have too few cells.
    """
    cells = len(grid(layer.height, layer.width))
    wanted = min(wanted, _SAMPLE_BYTES // (4 * layer.channels))
    images = max(min(_SAMPLED_IMAGES, -(-wanted // _IMAGE_SAMPLES)), -(-wanted // cells))
    return _drawn(sources, layer, wanted, images, 0)


def _queries(sources: Sources, layer: LayerInfo, wanted: int) -> np.ndarray:
    """Query vectors (n, C), each from another image. Vectors of zeros are left out, as nothing is near them."""
    drawn = _drawn(sources, layer, wanted, wanted, 1)
    active = drawn.any(axis=1)
    return drawn[active] if active.any() else drawn


def _drawn(sources: Sources, layer: LayerInfo, wanted: int, images: int, seed: int) -> np.ndarray:
    """At most ``wanted`` random vectors (n, C) from at most ``images`` images, the same number from each."""
    rng = np.random.default_rng(seed)
    cells, available = len(grid(layer.height, layer.width)), opened(sources).images
    drawn = min(available, images)
    chosen = np.sort(rng.choice(available, drawn, replace=False))
    per_image = min(cells, -(-wanted // drawn))
    chosen_cells = [np.sort(rng.choice(cells, per_image, replace=False)) for _ in range(drawn)]
    vectors, filled = np.empty((min(wanted, drawn * per_image), layer.channels), np.float32), 0
    for block in _blocks(sources, layer, chosen.tolist(), chosen_cells):
        block = block[: len(vectors) - filled]
        vectors[filled : filled + len(block)] = block
        filled += len(block)
    return vectors


def _blocks(
    sources: Sources, layer: LayerInfo, images: Sequence[int], cells: Sequence[np.ndarray] | None = None
) -> Iterator[np.ndarray]:
    """The vectors of images of the table, in blocks of images: of all cells in the grid, or of ``cells`` of each."""
    inputs = opened(sources)

    def vectors(numbers: range) -> np.ndarray:
        by_image = ((number, unit_vectors(inputs.maps(layer.name, images[number]))) for number in numbers)
        return np.concatenate([of_image if cells is None else of_image[cells[n]] for n, of_image in by_image])

    size = max(_BLOCK_IMAGES, _BLOCK_VECTORS // len(grid(layer.height, layer.width)))
    for block in in_threads(vectors, [_portions(*run) for run in runs(len(images), size)]):
        yield np.concatenate(block)
