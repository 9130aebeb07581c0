"""How far images made for neurons drive them, as shares of the highest photograph; beside the ways of others.

python -m benchmarks.made INDEX --layer features.12 [--neurons 50] [--steps 128] [--ways fourier pixels lucent]

1. Neurons are drawn by lot from those that fire on some photograph of the index.
2. For each way, an image is made for each. "fourier", "maco" and "pixels" are those of `make optimal`; "lucent" is that
   package's recipe, see `benchmarks.lucent`. "photograph" is the highest photograph itself.
3. The neuron's peak on the image, as it is kept with 8 bits a colour, is divided by its peak on the highest photograph:
   raw; as the mean over 16 fresh views of the kind that "fourier" is made with; and as the mean over 16 views of a kind
   that no way is made with (sheared, blurred, of another contrast).

"reach" is not made to be looked at: it is ascent over pixels for one cell, without views. Its share raw says how far
the neuron can be driven at all, as far as ascent finds it.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torchvision.transforms.v2 import functional as moves

import indexer
from benchmarks import lucent
from benchmarks.measure import write_records
from indexer.network.forward import Network
from indexer.query import top
from indexer.query.index import Index
from indexer.shards.format import LEAST_POSITIVE
from indexer.synthesis.ascending.chance import chance
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.images.natural import natural
from indexer.synthesis.images.pixels import to_colours
from indexer.synthesis.optimal import Maker
from indexer.synthesis.recipe import Settings
from indexer.synthesis.trust import Judge

BATCH: Final = 8
VIEWS: Final = 16
Make = Callable[[Sequence[int]], np.ndarray]
"""From neurons to images (n, h, w, 3) uint8; a neuron that nothing moves gets one that is grey."""


@dataclass(frozen=True)
class Shares:
    """The peaks of neurons on images made one way, as shares of the highest photograph; seconds of CPU an image."""

    way: str
    neurons: list[int]
    raw: list[float]
    fresh: list[float]
    others: list[float]
    seconds: float

    def line(self) -> str:
        above = " | ".join(
            f"{sum(value > 1 for value in of)} | {sum(value >= 2 for value in of)}" for of in (self.fresh, self.others)
        )
        medians = " | ".join(f"{np.median(of):.2f}" for of in (self.raw, self.fresh, self.others))
        return f"| {self.way} | {len(self.neurons)} | {above} | {medians} | {self.seconds:.1f} |"


HEADING: Final = (
    "| way | neurons | fresh: above every photograph | at least twice | other views: above | twice | median raw |"
    " fresh | other views | CPU (s) |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def drawn(index: Index, layer: str, count: int, seed: int) -> list[int]:
    """Neurons by lot, of those that some photograph moves."""
    alive = np.flatnonzero(np.asarray(index.layer(layer).statistics["maximum"]) > 0)
    return np.sort(np.random.default_rng(seed).permutation(alive)[:count]).tolist()


def ways(index: Index, network: Network, layer: str, steps: int, seed: int) -> dict[str, Make]:
    """What makes images, by name."""
    own = {name: Settings(way=name, steps=steps, seed=seed) for name in ("fourier", "maco", "pixels")}
    own["centre"] = Settings(aim="centre", steps=steps, seed=seed)
    own["reach"] = Settings(way="pixels", aim="centre", steps=steps, seed=seed)
    found: dict[str, Make] = {name: _optimal(index, network, layer, settings) for name, settings in own.items()}
    colours = cache(lambda: lucent.colours_of(natural(index)))
    found["lucent"] = lambda neurons: lucent.ascend(network, layer, neurons, colours(), steps, seed)
    found["photograph"] = lambda neurons: np.stack([highest_photograph(index, layer, neuron) for neuron in neurons])
    return found


def highest_photograph(index: Index, layer: str, neuron: int) -> np.ndarray:
    """Pixels (h, w, 3) uint8 of the photograph on which a neuron's peak is highest."""
    (row, *_) = top.peaks_of(index.layer(layer), neuron, None, LEAST_POSITIVE)
    return index.manifest.configuration.preprocessing.pixels(index.picture(index.image(int(index.images.id[row]))))


def shares(index: Index, network: Network, layer: str, neurons: Sequence[int], way: str, make: Make) -> Shares:
    """Make images for neurons, and measure them."""
    seen = Differentiable(network)
    judge = Judge(index, seen, layer)
    found = Shares(way, list(neurons), [], [], [], 0.0)
    spent = 0.0
    for first in range(0, len(neurons), BATCH):
        part = list(neurons[first : first + BATCH])
        started = time.process_time()
        made = make(part)
        spent += time.process_time() - started
        for pixels, neuron, trust in zip(made, part, judge.of(made, part), strict=True):
            found.raw.append(trust.ratio or 0.0)
            found.fresh.append(trust.transformed_ratio or 0.0)
            found.others.append(on_other_views(seen, layer, neuron, pixels) / trust.highest)
    return Shares(way, found.neurons, found.raw, found.fresh, found.others, spent / len(neurons))


@torch.no_grad()
def on_other_views(seen: Differentiable, layer: str, neuron: int, pixels: np.ndarray) -> float:
    """The mean of a neuron's peaks on views that no way is made with."""
    own, image = chance("others", layer, neuron), to_colours(pixels, seen.device)
    views = torch.cat([other_view(image, own) for _ in range(VIEWS)])
    return float(seen.maps(views, [layer])[layer][:, neuron].amax(dim=(1, 2)).mean())


def other_view(image: torch.Tensor, own: torch.Generator) -> torch.Tensor:
    """An image (1, 3, h, w) sheared by up to 8 degrees, blurred a little, with up to a fifth less contrast."""
    right, down, blur, contrast = torch.rand(4, generator=own).tolist()
    shear = [16 * right - 8, 16 * down - 8]
    # Around grey, so that beyond the edges all is grey.
    seen = moves.affine(image - 0.5, 0.0, [0, 0], 1.0, shear, interpolation=moves.InterpolationMode.BILINEAR)
    seen = moves.gaussian_blur(seen, [5, 5], [0.3 + 0.5 * blur])
    result: torch.Tensor = 0.5 + seen * (1 - 0.2 * contrast)
    return result


def _optimal(index: Index, network: Network, layer: str, settings: Settings) -> Make:
    maker = Maker(index, network, layer, settings)

    def make(neurons: Sequence[int]) -> np.ndarray:
        height, width = index.manifest.configuration.preprocessing.input_size
        grey = np.full((height, width, 3), 128, np.uint8)
        made = {one.neuron: one.pixels for one in maker.make(neurons)}
        return np.stack([made.get(neuron, grey) for neuron in neurons])

    return make


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--neurons", type=int, default=50, help="so many, by lot (%(default)s)")
    parser.add_argument("--steps", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--ways", nargs="+", default=["photograph", "fourier", "pixels", "lucent", "reach"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="a JSON of all shares")
    options = parser.parse_args(arguments)
    with indexer.open(options.index) as index:
        network, neurons = index.network(), drawn(index, options.layer, options.neurons, options.seed)
        makes = ways(index, network, options.layer, options.steps, options.seed)
        print(f"\n{options.layer}, {len(index.images)} photographs, {options.steps} steps\n\n{HEADING}", flush=True)
        found = []
        for way in options.ways:
            found.append(shares(index, network, options.layer, neurons, way, makes[way]))
            print(found[-1].line(), flush=True)
            if options.out:
                write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
