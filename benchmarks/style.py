"""How far `make art` brings an image to the style of another, and how far it goes from its content.

python -m benchmarks.style INDEX --layer features.7 --style-layers features.3,features.7 [--pairs 4] [--steps 200]

Pairs of photographs are drawn by lot, of different classes. The distance of the Gram matrices from the style image's
should fall tenfold, while the distance from the content stays below the style image's own. ``--sheet FILE`` has
content, style and result of each pair.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import indexer
from benchmarks.measure import write_records
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.art import STYLE, art

FALLS = 10


@dataclass(frozen=True)
class Painted:
    """The distances of one painting, as `indexer.synthesis.art.Art` has them; names of the photographs."""

    content_of: str
    style_of: str
    style_before: float
    style: float
    content: float
    content_of_style: float

    @property
    def well(self) -> bool:
        return self.style_before >= FALLS * self.style and self.content < self.content_of_style

    def line(self) -> str:
        return (
            f"| {self.content_of} | {self.style_of} | {self.style_before:.2f} | {self.style:.3f} | "
            f"{self.style_before / self.style:.0f} | {self.content:.2f} | {self.content_of_style:.2f} |"
        )


def pairs(index: Index, count: int, seed: int) -> list[tuple[int, int]]:
    """Rows of photographs by lot, two of different classes each; no photograph twice."""
    order = np.random.default_rng(seed).permutation(len(index.images)).tolist()
    records = [(row, index.image(int(index.images.id[row])).class_) for row in order]
    found = []
    while records and len(found) < count:
        row, class_ = records.pop(0)
        other = next((one for one in records if one[1] != class_), None)
        if other is None:
            break
        records.remove(other)
        found.append((row, other[0]))
    return found


def painted(
    index: Index, network: Network, pair: tuple[int, int], layer: str, style_layers: Sequence[str], steps: int,
    weight: float,
) -> tuple[Painted, np.ndarray]:  # fmt: skip
    """The distances, and the three images side by side, (h, 3 w, 3) uint8."""
    preprocessing = index.manifest.configuration.preprocessing
    records = [index.image(int(index.images.id[row])) for row in pair]
    content, style = (preprocessing.pixels(index.picture(record)) for record in records)
    made = art(
        index, network, content, style, content_layer=layer, style_layers=style_layers, steps=steps, weight=weight
    )
    names = [Path(record.path).stem for record in records]
    found = Painted(*names, made.style_before, made.style, made.content, made.content_of_style)
    return found, np.concatenate([content, style, made.pixels], axis=1)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--style-layers", required=True)
    parser.add_argument("--pairs", type=int, default=4, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="(%(default)s)")
    parser.add_argument("--weight", type=float, default=STYLE, help="how much style counts (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found, rows = [], []
    with indexer.open(options.index) as index:
        network, layers = index.network(), options.style_layers.split(",")
        print(
            "\n| content | style | from the style: before | after | falls by | from the content | the style image's |"
        )
        print("| --- | --- | --- | --- | --- | --- | --- |", flush=True)
        for pair in pairs(index, options.pairs, options.seed):
            one, row = painted(index, network, pair, options.layer, layers, options.steps, options.weight)
            found.append(one)
            rows.append(row)
            print(one.line(), flush=True)
    print(f"\n{sum(one.well for one in found)} of {len(found)} fall by {FALLS} and stay nearer to the content")
    if options.sheet:
        Image.fromarray(np.concatenate(rows)).save(options.sheet)
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
