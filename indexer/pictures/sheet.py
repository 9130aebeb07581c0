"""The pool5 figure (Girshick et al. 2014): a line for each neuron, with its top patches in columns.

>>> made = sheet(index, "features.12", [402, 412, 433], columns=10)
>>> save(made, Path("figure.pdf"))

Each tile is cut around a patch of another image, with the receptive field outlined. The number in its corner is the
activation as a share of the neuron's highest in the index. Only positive activations are shown. A tile stays empty if
there is no further image on which the neuron is active.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from indexer.defaults import SHEET_CONTEXT, SHEET_TILE, Field
from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.pictures.crop import MAX_CONTEXT, crop, outline, scale, scaled
from indexer.pictures.framed import framed
from indexer.pictures.lost import LostOriginals, placeholder
from indexer.pictures.mask import Mask, unmasked
from indexer.pictures.sheet_layout import Line, view_of
from indexer.query.index import Index
from indexer.query.learning.answering.outputs import NeuronNames
from indexer.query.records import ImageRecord, Patch
from indexer.shards.format import LEAST_POSITIVE

_NAME = 24  # characters of a neuron's name
MAX_NEURONS = 50
MAX_COLUMNS = 50
MIN_TILE, MAX_TILE = 32, 512
MAX_PIXELS = 40_000_000


@dataclass(frozen=True)
class Tile:
    """One patch: a picture whose longer side is as long as the sheet's tiles, and the text in its corner."""

    picture: Image.Image
    text: str


@dataclass(frozen=True)
class Sheet:
    """The content of a sheet; `indexer.pictures.sheet_draw` draws it.

    Attributes
    ----------
    title : str
        The text above the labels.
    columns, size : int
        The number of tiles in a line, and the length of their sides in pixels.
    lines : list of Line
    tiles : list of list of Tile
        At most ``columns`` tiles for each line.
    lost : LostOriginals
        The originals that placeholders stand for.
    heads : list of str, optional
        The text above each column; by default its number.
    """

    title: str
    columns: int
    size: int
    lines: list[Line]
    tiles: list[list[Tile]]
    lost: LostOriginals = dataclasses.field(default_factory=LostOriginals)
    heads: list[str] | None = None


def sheet(
    index: Index,
    layer: str,
    neurons: Sequence[int],
    *,
    columns: int = 10,
    rows: int = 1,
    size: int = SHEET_TILE,
    context: float = SHEET_CONTEXT,
    class_: str | None = None,
    y: int | None = None,
    x: int | None = None,
    field: Field = "exact",
    mask: Mask = unmasked,
) -> Sheet:
    """Collect the patches of a contact sheet.

    Parameters
    ----------
    neurons : sequence of int
        1 to 50 neurons of the layer, in the order in which they are shown.
    columns, rows : int
        Tiles in a line, and lines for a neuron: the best ``columns * rows`` patches, of different images.
    size : int
        Side of a tile in pixels.
    context : float
        How much to show around each patch, on each side: this factor times its longer side.
    class_ : str, optional
        Show only images of this class.
    y, x : int, optional
        Show only this cell: the neurons' *units* there.
    field : {"exact", "effective"}
        Show receptive fields, or effective ones, which are sampled; the title says so.
    mask : Mask
        Darkens what does not matter of each patch; see `indexer.pictures.mask`.

    Raises
    ------
    NotFound, InvalidRequest
    ImageUnavailable
        No original can be shown. If only some cannot, placeholders stand for them.
    """
    _check(len(neurons), columns, rows, size, context)
    shown = index.layer(layer)
    best = [
        index.top_patches(layer, neuron, limit=columns * rows, class_=class_, y=y, x=x, min=LEAST_POSITIVE).items
        for neuron in neurons
    ]
    patches = [framed(index, layer, own, field) for own in best]
    maxima = [float(shown.statistics["maximum"][neuron]) for neuron in neurons]
    lost = LostOriginals()
    drawn = tile_pictures(index, patches, size, context, lost, mask)
    lost.check()
    lines: list[Line] = []
    tiles: list[list[Tile]] = []
    names = NeuronNames(index)
    for neuron, own, maximum, pictures in zip(neurons, patches, maxima, drawn, strict=True):
        made = [Tile(p, f"{patch.activation / maximum:.2f}") for p, patch in zip(pictures, own, strict=True)]
        for first in range(0, max(1, len(made)), columns):
            note = f"max {_short(maximum)}" if own else ("dead" if maximum < LEAST_POSITIVE else "not active")
            note = _with_name(names.of(layer, neuron), note)
            lines.append(Line("", f"from {first + 1}", False) if first else Line(str(neuron), note))
            tiles.append(made[first : first + columns])
    title = (layer if y is None else f"{layer} at {y},{x}") + (", effective (sampled)" if field == "effective" else "")
    return Sheet(title, columns, size, lines, tiles, lost)


def _with_name(name: str | None, note: str) -> str:
    if name is None:
        return note
    return f"{name if len(name) <= _NAME else name[: _NAME - 1] + '…'}, {note}"


def _short(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def _check(neurons: int, columns: int, rows: int, size: int, context: float) -> None:
    for name, value, low, high in (
        ("the number of neurons", neurons, 1, MAX_NEURONS),
        ("columns", columns, 1, MAX_COLUMNS),
        ("neurons times rows", neurons * rows, 1, MAX_NEURONS),
        ("size", size, MIN_TILE, MAX_TILE),
        ("context", context, 0, MAX_CONTEXT),
    ):
        if not low <= value <= high:
            raise InvalidRequest(f"{name} must be {low} to {high:g}, not {value}")
    if neurons * rows * columns * size * size > MAX_PIXELS:
        raise InvalidRequest(
            f"{neurons * rows} lines of {columns} tiles of {size} x {size} pixels are more than {MAX_PIXELS} pixels; "
            "ask for smaller tiles or fewer of them"
        )


def tile_pictures(
    index: Index,
    patches: Sequence[Sequence[Patch]],
    size: int,
    context: float,
    lost: LostOriginals,
    mask: Mask = unmasked,
) -> list[list[Image.Image]]:
    """A tile for each patch, in their order (see `tile_picture`). Every original is read once.

    A placeholder of the same size stands for a patch whose original cannot be shown; ``lost`` notes the original.
    """
    tiles_of_image: dict[int, list[tuple[int, int]]] = {}
    for line, own in enumerate(patches):
        for column, patch in enumerate(own):
            tiles_of_image.setdefault(patch.image.id, []).append((line, column))
    drawn: dict[tuple[int, int], Image.Image] = {}
    for tiles in tiles_of_image.values():
        first_line, first_column = tiles[0]
        image = patches[first_line][first_column].image
        picture = lost.picture(index, image)
        for line, column in tiles:
            patch = patches[line][column]
            drawn[line, column] = (
                tile_placeholder(image, patch.box, size, context)
                if picture is None
                else tile_picture(picture, patch, size, context, mask)
            )
    return [[drawn[line, column] for column in range(len(own))] for line, own in enumerate(patches)]


def tile_picture(picture: Image.Image, patch: Patch, size: int, context: float, mask: Mask = unmasked) -> Image.Image:
    """A patch of a picture with its surroundings, outlined; the longer side is ``size`` pixels long."""
    region = view_of(patch.box, context, picture.width, picture.height)
    shown = mask(patch, picture, scale(crop(picture, region), size), region)
    return outline(shown, patch.box, region)


def tile_placeholder(image: ImageRecord, box: Box, size: int, context: float) -> Image.Image:
    """A placeholder for the tile of an original that cannot be shown, of the size that the tile would have."""
    region = view_of(box, context, image.width, image.height)
    return placeholder(*scaled(region.width, region.height, size))


def neuron_numbers(text: str) -> list[int]:
    """``"1,2,3"`` -> [1, 2, 3].

    Raises
    ------
    InvalidRequest
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise InvalidRequest(f"neurons must be numbers with commas between them, such as 17,230, not {text[:100]!r}")
    return [int(part) for part in parts]
