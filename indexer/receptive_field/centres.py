"""Where the receptive fields of cells have their centres."""

import numpy as np

from indexer.receptive_field import AxisField


def cell_centres(axis: AxisField | None, cells: int, length: int) -> np.ndarray:
    """Centres of receptive fields along an axis, in input pixels; where it is not known, of equal parts of it."""
    if axis is None:
        return (np.arange(cells) + 0.5) * length / cells
    if axis.size is not None and axis.stride is not None and axis.start is not None:
        return axis.start + axis.size / 2 + axis.stride * np.arange(cells, dtype=np.float64)
    return np.array([(first + end) / 2 for first, end in axis.intervals])
