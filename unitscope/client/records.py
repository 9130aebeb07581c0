"""Records of the API with names and types; their fields are those of the schemas in openapi.yaml.

``class`` is ``class_`` here. A record knows where it came from, so that it can show its picture.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Json = dict[str, Any]


class Sees(Protocol):
    """Gives the bytes of a picture at a path."""

    def picture(self, path: str, query: Mapping[str, object] | None = None) -> bytes: ...


class Cell(NamedTuple):
    """A location of a map, from 0."""

    y: int
    x: int


class Box(NamedTuple):
    """Pixels of the original after EXIF orientation, right and bottom excluded, as ``PIL.Image.crop`` takes them."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """What all records have: links to what belongs to them, by name."""

    links: Mapping[str, str]
    _sees: Sees = field(repr=False, compare=False)

    def _picture(self, link: str, **query: object) -> "Picture":
        return opened(self._sees.picture(self.links[link], query))


@dataclass(frozen=True, kw_only=True)
class Image(Record):
    """An indexed image."""

    image: int
    path: str
    class_: str | None
    width: int
    height: int
    sha256: str

    def picture(self) -> "Picture":
        """The original, upright, as a JPEG of at most 1600 pixels that the service makes."""
        return self._picture("picture")

    def original(self) -> bytes:
        """The bytes of the file."""
        return self._sees.picture(self.links["file"])


@dataclass(frozen=True, kw_only=True)
class _Placed(Record):
    """A cell of an indexed image. ``effective_box`` is None where no effective field of the layer was measured."""

    image: int
    path: str
    class_: str | None
    layer: str
    cell: Cell
    box: Box
    effective_box: Box | None = None

    def picture(
        self, *, context: float | None = None, outline: bool | None = None, size: int | None = None,
        field: str | None = None,
    ) -> "Picture":  # fmt: skip
        """The patch. ``context`` adds surroundings, as a share of the box, ``outline`` draws the box.

        ``field="effective"`` shows the part of the box that matters most.
        """
        return self._picture("patch", context=context, outline=_flag(outline), size=size, field=field)


@dataclass(frozen=True, kw_only=True)
class Patch(_Placed):
    """A cell of an indexed image at which a neuron has an activation. ``name`` is what people call the neuron."""

    neuron: int
    activation: float
    percentile: float
    name: str | None = None

    def masked(self, *, field: str | None = None) -> "Picture":
        """The patch, dark where an attribution says that it does not matter to the neuron."""
        return self._picture("patch", mask="true", neuron=self.neuron, field=field)

    def heat_map(self) -> "Picture":
        """Where the neuron fires on the whole image."""
        return self._picture("heatmap")


@dataclass(frozen=True, kw_only=True)
class Firing(Patch):
    """A neuron that fires on an indexed image, at its peak there."""

    category: str | None
    threshold: float


@dataclass(frozen=True, kw_only=True)
class SimilarPatch(_Placed):
    """A cell of an indexed image, with the cosine or the weighted sum that it was found by."""

    score: float


@dataclass(frozen=True, kw_only=True)
class AtlasPoint(Record):
    """A cell of an image, and its place in a layer's atlas: ``x`` from left to right, ``y`` from top to bottom."""

    x: float
    y: float
    image: int
    path: str
    class_: str | None
    cell: Cell
    neuron: int | None

    def picture(self, *, context: float | None = None, outline: bool | None = None) -> "Picture":
        """The patch."""
        return self._picture("patch", context=context, outline=_flag(outline))


@dataclass(frozen=True, kw_only=True)
class Proposal(Record):
    """A name that a neuron without one could have; ``by`` says who proposes it, with what evidence."""

    layer: str
    neuron: int
    name: str
    by: Json


@dataclass(frozen=True, kw_only=True)
class Neuron(Record):
    """A neuron with the statistics of its activations. ``name`` is what people call it.

    ``clarity``, ``polysemanticity``, ``redundancy`` and ``nearest`` are None where the layer has no scores.
    """

    layer: str
    neuron: int
    category: str | None
    maximum: float
    mean: float
    std: float
    positive_cells: float
    positive_images: float
    firing_cells: float
    firing_images: float
    threshold_5: float
    threshold_1: float
    threshold_0_5: float
    threshold_0_1: float
    dead: bool
    state: str
    best_class: str | None
    auc: float | None
    auc_at_least: float | None
    selectivity: float | None
    entropy: float | None
    name: str | None = None
    clarity: float | None = None
    polysemanticity: float | None = None
    redundancy: float | None = None
    nearest: int | None = None

    def sheet(self) -> "Picture":
        """Its top patches side by side."""
        return self._picture("sheet")


@dataclass(frozen=True, kw_only=True)
class Mistake(Record):
    """An image whose answer is not its class."""

    image: int
    path: str
    class_: str
    answered: str
    answered_class: str | None
    confidence: float | None
    own_confidence: float | None
    rank: int

    def picture(self) -> "Picture":
        """The original, upright."""
        return self._picture("picture")


SCHEMAS: Mapping[type[Record], str] = {
    Image: "Image", Patch: "Patch", Firing: "Firing", SimilarPatch: "SimilarPatch", Neuron: "NeuronStatistics",
    Mistake: "Mistake", AtlasPoint: "AtlasPoint", Proposal: "Proposal",
}  # fmt: skip
"""The schema in openapi.yaml that each record is."""

_PARTS: Mapping[str, Callable[..., Any]] = {"cell": Cell, "box": Box, "effective_box": Box}
R = TypeVar("R", bound=Record)


def record(kind: type[R], body: Json, sees: Sees) -> R:
    """A record of the JSON that a service gave. Fields that a newer service has besides are left out."""
    given: Json = {"_sees": sees}
    for item in fields(kind):
        name = item.name.rstrip("_")
        if name in body:
            part = _PARTS.get(name)
            given[item.name] = part(**body[name]) if part is not None else body[name]
    return kind(**given)


def opened(data: bytes) -> "Picture":
    """A picture of its bytes."""
    from PIL import Image as pillow

    picture = pillow.open(BytesIO(data))
    picture.load()
    return picture


def _flag(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
