"""The records that questions are answered with."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from indexer.images.geometry import Box

T = TypeVar("T")
PerImage = Literal["one", "all"]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A slice of an ordered list.

    Attributes
    ----------
    items : list
        The records from ``offset`` on, at most ``limit``.
    total : int or None
        Length of the whole list; None where counting it would need a scan.
    """

    items: list[T]
    total: int | None
    limit: int
    offset: int


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One indexed image; width and height in pixels, after EXIF orientation."""

    id: int
    path: str
    class_: str | None
    width: int
    height: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Patch:
    """A cell of a neuron's map on an image, with its receptive field in pixels of the original.

    ``percentile`` is the share, in percent, of the neuron's activations in the index that are below this one.
    ``effective_box`` is the cell's effective receptive field, sampled; None where none was measured.
    """

    image: ImageRecord
    layer: str
    neuron: int
    y: int
    x: int
    activation: float
    percentile: float
    box: Box
    effective_box: Box | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """A neuron that fires on an image, at its peak; ``image`` is None for an uploaded one."""

    image: ImageRecord | None
    layer: str
    neuron: int
    y: int
    x: int
    activation: float
    percentile: float
    threshold: float
    box: Box
    effective_box: Box | None = None


@dataclass(frozen=True, slots=True)
class SimilarPatch:
    """A cell whose activation vector is near a query; ``score`` is the cosine or the inner product asked for."""

    image: ImageRecord
    layer: str
    y: int
    x: int
    score: float
    box: Box
    effective_box: Box | None = None


@dataclass(frozen=True, slots=True)
class SimilarImage:
    """An image whose vector of peaks is near a query's, by cosine."""

    image: ImageRecord
    score: float
