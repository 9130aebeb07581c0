"""The images on which each unit, a neuron at one cell, is most active.

A neuron's peak on an image bounds each of its units, but mostly lies at another cell. So the highest images of one unit
would be found by reading the maps of many images; these lists of a few images for each answer it without reading any.
Their bytes do not grow with the images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.derive.executor import Executor, in_order, runs
from indexer.derive.sources import Sources, opened
from indexer.index.configuration import LayerInfo
from indexer.shards.histogram import decode
from indexer.system.threads import in_threads

FEWEST, MOST, SHARE = 10, 32, 100
"""Images in each list: one in so many, but not fewer or more than these."""
LAYER_BYTES: Final = 1 << 26
"""The most bytes of a layer's lists in memory: lists of larger layers are shorter."""
_ENTRY_BYTES = 6
_PART_IMAGES = 1 << 15
_BLOCK_BYTES, _PORTION = 1 << 23, 4


@dataclass(frozen=True)
class Highest:
    """For each unit, the images on which it is most active, by descending activation, then by row.

    Attributes
    ----------
    codes : ndarray (C * H * W, D) uint16
        The activations, as `indexer.shards.histogram.recode` codes them; 0 where there is no image.
    rows : ndarray (C * H * W, D) uint32
        Rows of the image table.
    """

    codes: np.ndarray
    rows: np.ndarray

    @staticmethod
    def none(units: int, depth: int) -> "Highest":
        """Lists without any image."""
        return Highest(np.zeros((units, depth), np.uint16), np.zeros((units, depth), np.uint32))

    @property
    def activations(self) -> np.ndarray:
        """The activations (C * H * W, D) float16."""
        return decode(self.codes)

    def followed_by(self, later: "Highest") -> "Highest":
        """The lists of these images and of others, whose rows are all larger."""
        depth = self.codes.shape[1]
        codes = np.concatenate([self.codes, later.codes], axis=1)
        order = np.argsort(np.uint16(0xFFFF) - codes, axis=1, kind="stable")[:, :depth]
        rows = np.concatenate([self.rows, later.rows], axis=1)
        return Highest(np.take_along_axis(codes, order, axis=1), np.take_along_axis(rows, order, axis=1))


def depth_of(layer: LayerInfo, images: int) -> int:
    """How many images the list of each unit of a layer holds; 0 where peaks say all, as each map has one cell."""
    if layer.cells == 1:
        return 0
    most = LAYER_BYTES // (_ENTRY_BYTES * layer.channels * layer.cells)
    return min(images, most, max(FEWEST, min(MOST, images // SHARE)))


def highest(layer: LayerInfo, sources: Sources, executor: Executor) -> Highest | None:
    """The lists of a layer, from its maps; None where it has none.

    They are the same whichever executor runs the parts.
    """
    images = opened(sources).images
    depth = depth_of(layer, images)
    if not depth:
        return None
    tasks = [(sources, layer, *run, depth) for run in runs(images, _PART_IMAGES)]
    found: Highest | None = None
    for part in in_order(executor.run(highest_of, tasks)):
        found = part if found is None else found.followed_by(part)
    return found


def highest_of(sources: Sources, layer: LayerInfo, first: int, end: int, depth: int) -> Highest:
    """The lists of images ``first`` to ``end`` of the table alone."""
    from indexer.shards import counting_kernels  # here, because reading derived files needs no compiled loops

    found = Highest.none(layer.channels * layer.cells, depth)
    lowest = np.zeros(len(found.codes), np.uint16)
    for row, maps in zip(range(first, end), _maps(sources, layer, first, end), strict=True):
        counting_kernels.highest(maps.reshape(-1).view(np.uint16), row, lowest, found.codes, found.rows)
    return found


def _maps(sources: Sources, layer: LayerInfo, first: int, end: int) -> Iterator[np.ndarray]:
    """The maps (C, H, W) float16 of images ``first`` to ``end`` of the table, read ahead on all cores."""
    inputs = opened(sources)

    def read(images: range) -> list[np.ndarray]:
        return [inputs.maps(layer.name, image) for image in images]

    size = max(_PORTION, _BLOCK_BYTES // (2 * layer.channels * layer.cells))
    blocks = [[range(first + a, first + b) for a, b in _portions(*run)] for run in runs(end - first, size)]
    for block in in_threads(read, blocks):
        for portion in block:
            yield from portion


def _portions(first: int, end: int) -> list[tuple[int, int]]:
    return [(first + start, first + stop) for start, stop in runs(end - first, _PORTION)]
