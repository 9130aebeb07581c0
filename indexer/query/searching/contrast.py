"""What the examples of a concept are compared with: all other images, some of them, or those that are not too like."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from indexer.derive.unit import unit
from indexer.errors import InvalidRequest
from indexer.query.deadline import checked
from indexer.query.index import Index
from indexer.query.layer import Layer

_BLOCK = 1024


@dataclass(frozen=True)
class Against:
    """The images that examples are compared with; the examples themselves are never among them.

    Attributes
    ----------
    images : sequence of int, optional
        These images, by id, in place of all others.
    class_ : str, optional
        The images of this class, in place of all others.
    unlike : float, optional
        Leave out those whose cosine with one of the examples is at least this, above 0 and at most 1: cosines of their
        peaks in the layer, negative ones as 0, as in the search for similar images. So a rest that holds the concept
        too does not hide it.

    Raises
    ------
    InvalidRequest
    """

    images: Sequence[int] | None = None
    class_: str | None = None
    unlike: float | None = None

    def __post_init__(self) -> None:
        if self.images is not None and self.class_ is not None:
            raise InvalidRequest("compare with images or with a class, not with both")
        if self.unlike is not None and not 0 < self.unlike <= 1:
            raise InvalidRequest(f"unlike must be above 0 and at most 1, not {self.unlike}")


EVERYTHING_ELSE = Against()


def rest_of(
    index: Index, layer: Layer, against: Against, inside: np.ndarray, examples: np.ndarray
) -> tuple[np.ndarray, int]:
    """The rows that examples are compared with, and how many were left out as too like.

    Parameters
    ----------
    inside : ndarray (N,) bool
        Rows that are examples themselves.
    examples : ndarray (k, C) float32
        The examples' peaks.

    Returns
    -------
    ndarray (N,) bool, int

    Raises
    ------
    NotFound
        No such image or class.
    InvalidRequest
        No image is left.
    """
    rest = _named(index, against) & ~inside
    if not rest.any():
        raise InvalidRequest("there are no other images to compare with")
    if against.unlike is None:
        return rest, 0
    rows = np.flatnonzero(rest)
    alike = likeness(layer, rows, examples) >= against.unlike
    if alike.all():
        raise InvalidRequest(
            f"each of the {len(rows)} images to compare with has a cosine of at least {against.unlike:g} with an "
            "example; raise unlike"
        )
    rest[rows[alike]] = False
    return rest, int(alike.sum())


def likeness(layer: Layer, rows: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The highest cosine (n,) of each row's peaks with those of an example (k, C), negative peaks as 0."""
    units = _units(examples)
    blocks = (rows[first : first + _BLOCK] for first in checked(range(0, len(rows), _BLOCK)))
    found = [(_units(layer.peaks_by_image[block]) @ units.T).max(axis=1) for block in blocks]
    return np.concatenate(found)


def _named(index: Index, against: Against) -> np.ndarray:
    if against.class_ is not None:
        return np.asarray(index.images.class_code == index.images.code_of(against.class_))
    wanted = np.full(len(index.images), against.images is None)
    for image in against.images or ():
        wanted[index.images.find_id(index.image(image).id)] = True
    return wanted


def _units(peaks: np.ndarray) -> np.ndarray:
    """Unit vectors of peaks (n, C), negative ones as 0; 0 where all are."""
    positive = np.maximum(peaks, 0).astype(np.float64)
    return unit(positive)
