"""What another layer says of a patch, as a vector."""

import numpy as np

from indexer.index.configuration import LayerInfo
from indexer.receptive_field import AxisField
from indexer.receptive_field.centres import cell_centres


class PatchVectors:
    """Makes vectors of the patches of a layer from the maps of another.

    With the pool "box", a vector is the mean over the cells of the other layer whose receptive fields have their centre
    in the patch, or over the nearest row or column where none has. With "image" it is the mean over all cells.

    Parameters
    ----------
    layer, by : LayerInfo
        The layer whose cells the patches are, and the other.
    pool : str
        One of `indexer.defaults.SCORE_POOLS`.
    size : (int, int)
        Height and width of the network's input.
    """

    def __init__(self, layer: LayerInfo, by: LayerInfo, pool: str, size: tuple[int, int]) -> None:
        self._width = layer.width
        fields = (layer.field.y, layer.field.x) if pool == "box" else (None, None)
        (self._rows, self._columns) = (
            _cells_within(own, axis, cells, of, length)
            for own, axis, cells, of, length in zip(
                fields, (by.field.y, by.field.x), (layer.height, layer.width), (by.height, by.width), size, strict=True
            )
        )

    def of(self, maps: np.ndarray, cell: int) -> np.ndarray:
        """The vector (D,) float32 of the patch of a cell, y * W + x; ``maps`` (D, H, W) are the other layer's."""
        y, x = divmod(cell, self._width)
        part = maps[:, self._rows[y]][:, :, self._columns[x]]
        vector: np.ndarray = part.astype(np.float32).mean(axis=(1, 2), dtype=np.float64).astype(np.float32)
        return vector


def _cells_within(own: AxisField | None, axis: AxisField | None, cells: int, of: int, length: int) -> list[np.ndarray]:
    """For each of so many cells along an axis, those of the other layer, of which there are ``of``."""
    if own is None:
        return [np.arange(of)] * cells
    centres = np.clip(cell_centres(axis, of, length), 0, length - 0.5)
    found = []
    for first, end in own.intervals:
        within = np.flatnonzero((centres >= first) & (centres < end))
        nearest = np.abs(centres - (first + end) / 2).argmin()
        found.append(within if len(within) else np.array([nearest]))
    return found
