"""The file of a layer's effective receptive fields.

::

    boxes (H, W, 4) int32      see `indexer.receptive_field.effective.EffectiveField`
    sample (2,) int64          how many images, and the seed

Generations that come later list the file too (`indexer.derive.carried`). It depends on the network, which stays the
same throughout an index, and on images only as a sample of what the network may see.
"""

from typing import Final

import numpy as np

from indexer.derive.carried.files import write_carried
from indexer.errors import DamagedFile
from indexer.index import hdf5, layout
from indexer.index.configuration import LayerInfo
from indexer.receptive_field.effective import EffectiveField
from indexer.store.storage import Location

KIND: Final = "unitscope effective receptive fields"
VERSION: Final = 1


def write_effective(index: Location, layer: str, field: EffectiveField) -> str:
    """Write a layer's file; gives its path relative to the index."""
    sample = np.array([field.images, field.seed], np.int64)
    arrays: dict[str, np.ndarray] = {"boxes": field.boxes.astype(np.int32), "sample": sample}
    return write_carried(index, layout.EFFECTIVE, layer, (KIND, VERSION), arrays)


def read_effective(index: Location, file: str, layer: LayerInfo, size: tuple[int, int]) -> EffectiveField:
    """Read the file of a layer of a network whose input has this height and width.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer.
    """
    arrays = hdf5.map_arrays(index / file, file, KIND, VERSION)
    boxes, sample = (arrays.get(name, np.empty(0)) for name in ("boxes", "sample"))
    if boxes.shape != (layer.height, layer.width, 4) or boxes.dtype != np.int32 or sample.shape != (2,):
        raise DamagedFile(file, "does not hold a box for each cell of its layer")
    if not _within(boxes, size):
        raise DamagedFile(file, "names pixels that the network's input does not have")
    return EffectiveField(boxes, int(sample[0]), int(sample[1]))


def _within(boxes: np.ndarray, size: tuple[int, int]) -> bool:
    left, top, right, bottom = np.moveaxis(boxes, 2, 0)
    in_order = (left >= 0) & (top >= 0) & (left <= right) & (top <= bottom)
    return bool((in_order & (right <= size[1]) & (bottom <= size[0])).all())
