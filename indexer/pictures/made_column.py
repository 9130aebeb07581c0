"""Images made for neurons, as the first column of a contact sheet."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from PIL import Image

from indexer.errors import InvalidRequest
from indexer.pictures.crop import scale
from indexer.pictures.sheet import MAX_COLUMNS, Sheet, Tile
from indexer.query.index import Index
from indexer.synthesis.kept import kept_optimal

_PAPER = (255, 255, 255)


def with_made(index: Index, layer: str, neurons: Sequence[int], sheet: Sheet) -> Sheet:
    """The sheet of these neurons with the image made for each in front of its patches.

    The number in the corner is the neuron's activation on the image as a share of its highest in the index, as it is on
    a patch.

    Raises
    ------
    InvalidRequest
        An image has not been made, or the sheet has no room for a column more.
    DamagedFile
    """
    if sheet.columns >= MAX_COLUMNS:
        raise InvalidRequest(f"columns must be at most {MAX_COLUMNS - 1} beside made images, not {sheet.columns}")
    first = _tiles(index, layer, neurons, sheet.size)
    empty = Tile(Image.new("RGB", (sheet.size, sheet.size), _PAPER), "")
    tiles = [
        [next(first) if line.starts else empty, *own] for line, own in zip(sheet.lines, sheet.tiles, strict=True)
    ]  # fmt: skip
    heads = ["made", *(str(number) for number in range(1, sheet.columns + 1))]
    return replace(sheet, columns=sheet.columns + 1, tiles=tiles, heads=heads)


def _tiles(index: Index, layer: str, neurons: Sequence[int], size: int) -> Iterator[Tile]:
    for neuron in neurons:
        kept = kept_optimal(index, layer, neuron)
        if kept is None:
            raise InvalidRequest(
                f"no image has been made for neuron {neuron} of {layer}; make optimal INDEX --layer {layer} --neurons "
                f"{neuron} makes one"
            )
        highest = float(index.layer(layer).statistics["maximum"][neuron])
        share = f"{kept.about['trust']['activation'] / highest:.2f}" if highest > 0 else ""
        yield Tile(scale(Image.fromarray(kept.pixels), size), share)
