"""One cell of a neuron's maps: the images on which it is most active, with the lists of the derived file and without.

python -m benchmarks.cells INDEX --layer features.12 [--pairs 200] [--without 200] [--out FILE]

Neurons that fire on some image, and cells, are drawn by lot. *Without* is the walk by descending peak, as an index of
before answers; the first ``--without`` pairs are asked so, too, and the answers compared. The share is that of the
neuron's maps that are read.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import indexer
from benchmarks.measure import write_records
from indexer.query.index import Index

LIMIT = 20


@dataclass(frozen=True)
class Asked:
    """Milliseconds of each asking, and the share of the neuron's maps that were read for it."""

    name: str
    milliseconds: list[float]
    shares: list[float]

    def line(self) -> str:
        times = " | ".join(f"{value:.2f}" for value in np.percentile(self.milliseconds, [50, 90, 99]))
        shares = " | ".join(f"{100 * value:.3g}" for value in (np.median(self.shares), max(self.shares)))
        return f"| {self.name} | {len(self.milliseconds)} | {times} | {shares} |"


HEADING = (
    "| one cell, limit 20 | pairs | p50 ms | p90 | p99 | maps read, median % | most % |\n"
    "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def drawn(index: Index, layer: str, pairs: int) -> list[tuple[int, int, int]]:
    """Neurons and cells (neuron, y, x) by lot."""
    info, rng = index.layers[layer].info, np.random.default_rng(0)
    alive = np.flatnonzero(np.asarray(index.layers[layer].statistics["maximum"]) > 0)
    return [
        (int(neuron), int(rng.integers(info.height)), int(rng.integers(info.width)))
        for neuron in rng.choice(alive, pairs)
    ]


def ask(index: Index, layer: str, units: Sequence[tuple[int, int, int]], name: str, **options: object) -> Asked:
    """Ask each unit once; the first a second time, which counts, as the files may be cold."""
    found = Asked(name, [], [])
    read, real = [], index._read_map
    index._read_map = lambda *place: read.append(place) or real(*place)
    index.top_patches(layer, units[0][0], limit=LIMIT, y=units[0][1], x=units[0][2], **options)
    for neuron, y, x in units:
        read.clear()
        started = time.perf_counter()
        index.top_patches(layer, neuron, limit=LIMIT, y=y, x=x, **options)
        found.milliseconds.append(1e3 * (time.perf_counter() - started))
        found.shares.append(len(read) / len(index.images))
    del index._read_map
    return found


def without(index: Index, layer: str, work: Callable[[], Asked]) -> Asked:
    """Do something as if the derived file had no lists."""
    of_layer = index.layers[layer]
    kept, of_layer._highest = of_layer._highest, None
    try:
        return work()
    finally:
        of_layer._highest = kept


def check(index: Index, layer: str, units: Sequence[tuple[int, int, int]]) -> None:
    """Raise where both ways differ."""
    of_layer = index.layers[layer]
    kept = of_layer._highest
    for neuron, y, x in units:
        pages = []
        for of_layer._highest in (None, kept):
            pages.append(index.top_patches(layer, neuron, limit=LIMIT, y=y, x=x).items)
        if pages[0] != pages[1]:
            raise RuntimeError(f"neuron {neuron} at {y}, {x}: the lists give another answer than the maps")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", default="features.12")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--without", type=int, default=200, help="pairs that are also asked without the lists")
    parser.add_argument("--out", type=Path, help="a JSON of all figures")
    options = parser.parse_args(arguments)
    layer = options.layer
    with indexer.open(options.index) as index:
        units = drawn(index, layer, options.pairs)
        few = units[: options.without]
        class_ = next((name for name in index.classes if name), None)
        lists = index.layers[layer]._highest
        depth = "none" if lists is None else lists[0].shape[2]
        print(
            f"\n{len(index.images):,} images, lists of {depth}, load {os.getloadavg()[0]:.1f}\n\n{HEADING}", flush=True
        )
        found = []
        for name, more in (("", {}), (", of a class", {"class_": class_})) if class_ else (("", {}),):
            found.append(without(index, layer, lambda: ask(index, layer, few, f"without lists{name}", **more)))  # noqa: B023
            print(found[-1].line(), flush=True)
            found.append(ask(index, layer, units, f"with{name}", **more))
            print(found[-1].line(), flush=True)
        check(index, layer, few[:10])
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
