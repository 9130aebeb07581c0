"""Top patches, cut out of their originals and encoded."""

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from indexer.describe.encoder import BATCH, Checked
from indexer.errors import ImageRejected, ImageUnavailable
from indexer.pictures.crop import crop
from indexer.query.index import Index


class Crops:
    """Patches of a layer as pictures; ``lost`` names, by row, the images whose originals cannot be read any more."""

    def __init__(self, index: Index, layer: str) -> None:
        self._index, self._layer = index, index.layer(layer)
        self.lost: dict[int, str] = {}

    def of(self, rows: np.ndarray, cells: np.ndarray) -> Iterator[tuple[int, Image.Image]]:
        """The number and the picture of each patch that can be read.

        Parameters
        ----------
        rows : ndarray (P,)
            Rows of the image table, ascending, so that each original is read once.
        cells : ndarray (P,)
            y * W + x.
        """
        at, picture, record = -1, None, None
        for number, (row, cell) in enumerate(zip(rows.tolist(), cells.tolist(), strict=True)):
            if row != at:
                at, record, picture = row, self._index.image(int(self._index.images.id[row])), None
                if row not in self.lost:
                    try:
                        picture = self._index.picture(record)
                    except (ImageUnavailable, ImageRejected):
                        self.lost[row] = record.path
            if picture is not None and record is not None:
                yield number, crop(picture, self._index.box(record, self._layer.name, *self._layer.place(cell)))


def encode(
    encoder: Checked,
    crops: Crops,
    rows: np.ndarray,
    cells: np.ndarray,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, D) float32 of the patches (P,), (P,) that can be read, and which these are (n,) int64."""
    parts: list[np.ndarray] = []
    numbers: list[int] = []
    batch: list[Image.Image] = []
    for number, picture in crops.of(rows, cells):
        numbers.append(number)
        batch.append(picture)
        if len(batch) == BATCH:
            parts.append(encoder.images(batch))
            batch = []
            progress(number + 1, len(rows))
    if batch:
        parts.append(encoder.images(batch))
    progress(len(rows), len(rows))
    return np.concatenate(parts) if parts else np.empty((0, 0), np.float32), np.array(numbers, np.int64)
