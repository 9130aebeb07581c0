"""The vectors of a layer's cells, image by image: the rows of an export."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.errors import InvalidRequest
from indexer.query.index import Index

COLUMNS: Final = ("image", "y", "x")
"""What a row of `Rows.where` holds: the image's id, and the cell."""


@dataclass(frozen=True)
class Rows:
    """The vectors of some cells of one image.

    Attributes
    ----------
    vectors : ndarray (n, C) float16
        As kept; before a ReLU or after it, as the layer is.
    where : ndarray (n, 3) int64
        See `COLUMNS`.
    """

    vectors: np.ndarray
    where: np.ndarray


@dataclass(frozen=True)
class Cells:
    """Which cells of each image are taken.

    Attributes
    ----------
    each : int, optional
        So many of each image, by lot; all if None or more than there are.
    seed : int
        Together with an image's id it says which.

    Raises
    ------
    InvalidRequest
        There are to be none, or the seed is negative.
    """

    each: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.each is not None and self.each < 1:
            raise InvalidRequest(f"take 1 or more cells of each image, not {self.each}")
        if self.seed < 0:  # numpy's generator takes no such seed
            raise InvalidRequest(f"seed must be at least 0, not {self.seed}")

    def of(self, image: int, count: int) -> np.ndarray:
        """Numbers (n,) of the cells of an image that are taken, row by row of the map, in order."""
        if self.each is None or self.each >= count:
            return np.arange(count)
        chance = np.random.default_rng((self.seed, image))
        return np.sort(chance.choice(count, self.each, replace=False))


def rows_of(index: Index, layer: str, image: int, cells: Cells = Cells()) -> Rows:
    """The rows of one image.

    Raises
    ------
    NotFound
        The index has no such layer or image.
    """
    info = index.layer(layer).info
    taken = cells.of(image, info.cells)
    maps = index.activation_maps(image, layer).reshape(info.channels, info.cells)
    y, x = np.divmod(taken, info.width)
    where = np.stack([np.full_like(taken, image), y, x], axis=1)
    return Rows(np.ascontiguousarray(maps.T[taken], np.float16), where)


def images_of(index: Index, class_: str | None = None) -> list[int]:
    """Ids of the images whose rows are exported: all, or those of a class.

    Raises
    ------
    NotFound
        No image is of this class.
    """
    rows = slice(None) if class_ is None else index.images.rows_of_class(class_)
    ids: list[int] = index.images.id[rows].tolist()
    return ids


def all_rows(index: Index, layer: str, images: list[int], cells: Cells) -> Iterator[Rows]:
    """The rows of images, one image at a time."""
    for image in images:
        yield rows_of(index, layer, image, cells)
