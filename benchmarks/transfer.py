"""Does another network see what an image was made to show? Class images of one network, answered by a second.

python -m benchmarks.transfer FIRST SECOND [--images 5] [--steps 128] [--ways fourier pixels] [--out FILE]

FIRST and SECOND are indexes of networks with the same outputs and the same input, trained from other seeds
(`benchmarks.cifar`). For each output of the first, some images are made that drive it as far as they can, each from
another seed. Both networks answer them; what counts is the share answered with the class they were made for. By chance
it is one over the number of outputs. An image that works as noise fools the first network alone.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

import indexer
from benchmarks.measure import write_records
from indexer.errors import InvalidRequest
from indexer.explain.outputs import answering_outputs
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.synthesis.optimal import Maker
from indexer.synthesis.recipe import Settings

_Z: Final = 1.96


@dataclass(frozen=True)
class Seen:
    """How often each network answers an image with the class that it was made for."""

    way: str
    images: int
    outputs: int
    by_first: int
    by_second: int

    @property
    def interval(self) -> tuple[float, float]:
        """95 % of the second's share (Wilson 1927)."""
        share, images = self.by_second / self.images, self.images
        middle = (share + _Z**2 / (2 * images)) / (1 + _Z**2 / images)
        half = _Z / (1 + _Z**2 / images) * math.sqrt(share * (1 - share) / images + _Z**2 / (4 * images**2))
        return middle - half, middle + half

    def line(self) -> str:
        low, high = self.interval
        return (
            f"| {self.way} | {self.images} | {self.by_first / self.images:.0%} | {self.by_second / self.images:.0%} "
            f"({low:.0%} to {high:.0%}) | {1 / self.outputs:.0%} |"
        )


def seen(first: Index, networks: tuple[Network, Network], settings: Sequence[Settings]) -> Seen:
    """Make images for all outputs of the first network, once for each of the settings, and have both answer them."""
    layer = answering_outputs(first).layer
    outputs = list(range(first.layer(layer).info.channels))
    images, made_for = [], []
    for one in settings:
        for made in Maker(first, networks[0], layer, one).make(outputs):
            images.append(made.pixels)
            made_for.append(made.neuron)
    wanted = np.array(made_for)
    by_first, by_second = (int((answers(network, images, layer) == wanted).sum()) for network in networks)
    return Seen(settings[0].way, len(images), len(outputs), by_first, by_second)


def answers(network: Network, images: Sequence[np.ndarray], layer: str) -> np.ndarray:
    """What a network answers to each image (h, w, 3) uint8."""
    found: np.ndarray = network.run(
        np.stack(images), lambda name, maps: maps.flatten(1).argmax(dim=1).cpu().numpy(), [layer]
    )[layer]
    return found


def check(first: Index, second: Index) -> None:
    """Refuse networks that do not answer the same question.

    Raises
    ------
    InvalidRequest
    """
    outputs = [answering_outputs(index) for index in (first, second)]
    size = [index.manifest.configuration.preprocessing.input_size for index in (first, second)]
    if outputs[0].layer != outputs[1].layer or outputs[0].names != outputs[1].names or size[0] != size[1]:
        raise InvalidRequest("the two networks must have the same outputs, of the same names, and the same input size")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--images", type=int, default=5, help="of each output (%(default)s)")
    parser.add_argument("--steps", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--ways", nargs="+", default=["fourier", "maco", "pixels"])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    found = []
    with indexer.open(options.first) as first, indexer.open(options.second) as second:
        check(first, second)
        networks = first.network(), second.network()
        print("\n| way | images | the first network answers its class | the second (95 %) | chance |")
        print("| --- | --- | --- | --- | --- |", flush=True)
        for way in options.ways:
            each = [Settings(way=way, steps=options.steps, seed=seed) for seed in range(options.images)]
            found.append(seen(first, networks, each))
            print(found[-1].line(), flush=True)
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
