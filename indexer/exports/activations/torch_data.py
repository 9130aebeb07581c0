"""The vectors of a layer's cells as data sets of torch, read from the kept maps while somebody trains on them.

``Activations`` gives any row by its number; ``ActivationStream`` gives all rows once, mixed, and reads each image once.
Both may be handed to a ``DataLoader`` with workers: each process opens the index by itself.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, get_worker_info

from indexer.exports.activations.rows import Cells, images_of, rows_of
from indexer.query.index import Index, open
from indexer.store.storage import Location

Row = tuple[torch.Tensor, torch.Tensor]
"""A vector (C,) float32, and (3,) int64: the image's id, y, x of the cell."""


class _Opened:
    """An index that is opened where it is used: an open one cannot go to another process."""

    def __init__(self, index: str | Location, layer: str, class_: str | None) -> None:
        self._location, self._layer = index, layer
        self._index: Index | None = None
        with open(index) as opened:
            self.images = images_of(opened, class_)
            self.info = opened.layer(layer).info

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_index": None}

    def rows(self, image: int, cells: Cells) -> tuple[torch.Tensor, torch.Tensor]:
        if self._index is None:
            self._index = open(self._location)
        rows = rows_of(self._index, self._layer, image, cells)
        return torch.from_numpy(rows.vectors.astype(np.float32)), torch.from_numpy(rows.where)


class Activations(Dataset[Row]):
    """Every cell of every image of an index, as a vector of a layer.

    Row ``i`` is cell ``i % (H * W)``, counted row by row of the map, of image ``i // (H * W)`` in the order of ids.

    Parameters
    ----------
    index : Path or str
        The folder or the URL of an index that does not change meanwhile.
    class_ : str, optional
        Only images of this class.

    Raises
    ------
    NotFound, NotAnIndex
    """

    def __init__(self, index: str | Location, layer: str, class_: str | None = None) -> None:
        self._opened = _Opened(index, layer, class_)

    def __len__(self) -> int:
        return len(self._opened.images) * self._opened.info.cells

    def __getitem__(self, row: int) -> Row:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: list[int]) -> list[Row]:
        """Several rows at once, as a ``DataLoader`` asks for them: each image is read once."""
        for row in rows:
            if not 0 <= row < len(self):
                raise IndexError(f"row {row} of {len(self)}")
        cells, read = self._opened.info.cells, {}
        for number in {row // cells for row in rows}:
            read[number] = self._opened.rows(self._opened.images[number], Cells())
        return [tuple(part[row % cells] for part in read[row // cells]) for row in rows]  # type: ignore[misc]


class ActivationStream(IterableDataset[Row]):
    """All rows once, in an order by lot: images are shuffled, and rows are mixed among some images.

    Parameters
    ----------
    index : Path or str
    layer : str
    cells : Cells
        Which cells of each image.
    class_ : str, optional
        Only images of this class.
    seed : int
        Give another for each epoch.
    mixed : int
        Among the rows of how many images rows are mixed; memory holds these.

    Raises
    ------
    NotFound, NotAnIndex
    """

    def __init__(
        self, index: str | Location, layer: str, cells: Cells = Cells(), class_: str | None = None,  # noqa: B008 - it is frozen
        *, seed: int = 0, mixed: int = 64,
    ) -> None:  # fmt: skip
        self._opened = _Opened(index, layer, class_)
        self._cells, self._seed, self._mixed = cells, seed, mixed

    def __len__(self) -> int:
        each = self._opened.info.cells if self._cells.each is None else min(self._cells.each, self._opened.info.cells)
        return len(self._opened.images) * each

    def __iter__(self) -> Iterator[Row]:
        images = torch.tensor(self._opened.images)[_shuffled(len(self._opened.images), self._seed)]
        worker = get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        own = images[first::step].tolist()
        for start in range(0, len(own), self._mixed):
            parts = [self._opened.rows(image, self._cells) for image in own[start : start + self._mixed]]
            vectors, where = (torch.cat(part) for part in zip(*parts, strict=True))
            for row in _shuffled(len(where), self._seed + 1 + start).tolist():
                yield vectors[row], where[row]


def _shuffled(count: int, seed: int) -> torch.Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))
