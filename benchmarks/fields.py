"""How an activation changes when all outside of its field is painted over, on images outside of the fields' sample.

python -m benchmarks.fields INDEX --layer features.12 [--units 2] [--seed 0] [--out FILE]

1. The images are those of the index that the sample of the layer's effective fields does not have.
2. On each, some neurons that fire there are drawn, each at its peak: units whose patches people look at.
3. The network's input is painted with one colour outside of the unit's box, and the network runs again. What counts is
   the change of the activation as a share of what it was. Once it is the mean colour of the preprocessing, once that of
   the image itself, which has less of an edge.

Besides the effective and the exact box, boxes of the effective one's sides around the middle of the field are painted
around: what a smaller box costs anyway.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import indexer
from benchmarks.measure import write_records
from indexer.errors import NotFound
from indexer.images.geometry import Box
from indexer.jobs.derived.effective_field import sampled_rows
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.receptive_field.centres import cell_centres

BATCH = 16
Colour = Callable[[np.ndarray], np.ndarray]
"""Gives the colour (3,) from 0 to 255 that all outside of a box of pixels (h, w, 3) gets."""


@dataclass(frozen=True)
class Unit:
    """A neuron at a cell of a held-out image, by its row."""

    row: int
    neuron: int
    y: int
    x: int


@dataclass(frozen=True)
class Change:
    """Relative changes of activations when all outside of a kind of boxes is painted over; the boxes' mean area."""

    boxes: str
    colour: str
    units: int
    images: int
    median: float
    percentile_95: float
    area: float


def held_out(index: Index, layer: str) -> list[int]:
    """The rows of images that the effective fields of a layer were not sampled on, if none was added since."""
    field = index.effective_field(layer)
    if field is None:
        raise NotFound(f"layer {layer} has no effective fields; measure them with effective-field first")
    sampled = set(sampled_rows(len(index.images), field.images, field.seed).tolist())
    return [row for row in range(len(index.images)) if row not in sampled]


def units_of(index: Index, layer: str, rows: Sequence[int], each: int, seed: int) -> list[Unit]:
    """At most so many neurons of each image, drawn from those that fire on it, at their peaks."""
    rng, shown = np.random.default_rng(seed), index.layer(layer)
    lowest = shown.firing_from(None)
    units = []
    for row in rows:
        firing = np.flatnonzero(shown.peaks_by_image[row] >= lowest)
        for neuron in rng.permutation(firing)[:each].tolist():
            units.append(Unit(row, neuron, *shown.place(int(shown.peak_cells[neuron, row]))))
    return units


def changes(index: Index, network: Network, layer: str, units: Sequence[Unit]) -> list[Change]:
    """The change for the effective, the exact and the middle box of each unit, and each colour."""
    boxes = boxes_of(index, layer, units)
    height, width = index.manifest.configuration.preprocessing.input_size
    mean = np.array(index.manifest.configuration.preprocessing.mean) * 255
    colours: dict[str, Colour] = {"mean": lambda pixels: mean, "image's own": lambda pixels: pixels.mean(axis=(0, 1))}
    before = activations(index, network, layer, units, [Box(0, 0, width, height)] * len(units), colours["mean"])
    images, found = len({unit.row for unit in units}), []
    for name, own in boxes.items():
        area = float(np.mean([box.area for box in own])) / (height * width)
        for colour, of in colours.items():
            change = np.abs(activations(index, network, layer, units, own, of) - before) / before
            median, percentile = np.percentile(change, [50, 95]).tolist()
            found.append(Change(name, colour, len(units), images, median, percentile, area))
    return found


def boxes_of(index: Index, layer: str, units: Sequence[Unit]) -> dict[str, list[Box]]:
    """The boxes of each kind, in network input pixels."""
    field, info = index.effective_field(layer), index.layer(layer).info
    assert field is not None
    height, width = index.manifest.configuration.preprocessing.input_size
    rows, columns = cell_centres(info.field.y, info.height, height), cell_centres(info.field.x, info.width, width)

    def middle(unit: Unit) -> Box:
        """A box of the effective one's sides, moved to lie on the input."""
        part = field.box(unit.y, unit.x)
        left = int(np.clip(columns[unit.x] - part.width / 2, 0, width - part.width))
        top = int(np.clip(rows[unit.y] - part.height / 2, 0, height - part.height))
        return Box(left, top, left + part.width, top + part.height)

    return {
        "effective": [field.box(unit.y, unit.x) for unit in units],
        "exact": [info.field.box(unit.y, unit.x) or Box(0, 0, width, height) for unit in units],
        "middle": [middle(unit) for unit in units],
    }


def activations(
    index: Index, network: Network, layer: str, units: Sequence[Unit], boxes: Sequence[Box], colour: Colour
) -> np.ndarray:
    """The activation (n,) of each unit when all outside of its box is painted over in a colour."""
    preprocessing = index.manifest.configuration.preprocessing
    pixels: dict[int, np.ndarray] = {}
    found = np.empty(len(units), np.float64)
    for first in range(0, len(units), BATCH):
        some = range(first, min(first + BATCH, len(units)))
        painted = []
        for number in some:
            row = units[number].row
            if row not in pixels:
                pixels = {row: preprocessing.pixels(index.picture(index.image(int(index.images.id[row]))))}
            painted.append(outside_painted(pixels[row], boxes[number], colour))
        maps = network.run(np.stack(painted), lambda name, output: output.float().cpu().numpy(), [layer])[layer]
        found[first : first + len(some)] = [
            maps[place, units[number].neuron, units[number].y, units[number].x] for place, number in enumerate(some)
        ]
    return found


def outside_painted(pixels: np.ndarray, box: Box, colour: Colour) -> np.ndarray:
    """Pixels (h, w, 3) uint8 of which only those in the box are left."""
    painted = np.broadcast_to(np.round(colour(pixels)).astype(np.uint8), pixels.shape).copy()
    inside = slice(box.top, box.bottom), slice(box.left, box.right)
    painted[inside] = pixels[inside]
    return painted


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--units", type=int, default=2, help="neurons of each image (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    with indexer.open(options.index) as index:
        units = units_of(index, options.layer, held_out(index, options.layer), options.units, options.seed)
        found = changes(index, index.network(), options.layer, units)
    print(f"\n{options.layer}: {found[0].units} units on {found[0].images} held-out images\n")
    print("| painted over outside of | in the colour | share of the input | median change | 95th percentile |")
    print("| --- | --- | --- | --- | --- |")
    for each in found:
        print(f"| {each.boxes} | {each.colour} | {each.area:.1%} | {each.median:.2%} | {each.percentile_95:.2%} |")
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
