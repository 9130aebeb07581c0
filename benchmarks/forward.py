"""Keeping every location beside the bare forward pass, decoding taken out of both: what is left to a fast device.

python -m benchmarks.forward --images DIR [--weights FILE] [--models NAME ...] [--device cuda] [--batch N] [--out FILE]

Images are decoded once and sent again and again, as many as take the bare pass most of a second.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.floor import passes
from benchmarks.indexing import FIRES
from benchmarks.measure import Row, heading, in_turn, seconds, write
from indexer.defaults import FLOAT32
from indexer.images.listing import ImageFile, Listing, list_images
from indexer.jobs.pipeline.decode import Decoded, decode
from indexer.jobs.pipeline.write_shards import ShardTask, write_shards
from indexer.jobs.plan import ShardPlan
from indexer.network.forward import Network, device_named
from indexer.network.models import load_model
from indexer.network.restore import configuration_of
from indexer.store import atomic

SHARD = 1024
MOST = 16 * SHARD


@dataclass(frozen=True)
class Case:
    """A network, layers and a precision."""

    model: str
    layers: str
    precision: str = FLOAT32

    @property
    def name(self) -> str:
        layers = self.layers if self.layers.count(",") < 2 else f"{self.layers.count(',') + 1} layers"
        return f"{self.model} {layers}, {self.precision}"


CASES = [
    Case("squeezenet1_1", "features.12"),
    Case("alexnet", "features.12"),
    Case("vgg16", "features.30"),
    Case("vgg16", "features.30", "tf32"),
    Case("resnet50", "layer4", "float32-folded"),
    Case("resnet50", "layer4", "tf32"),
    Case("resnet18", "layer4", "float32-folded"),
    Case("squeezenet1_1", FIRES),
]


class Decoding:
    """A folder's images, decoded, as often as wanted."""

    def __init__(self, listing: Listing, network: Network, count: int) -> None:
        preprocessing = network.model.preprocessing
        found = (decode(listing.root, 0, file, preprocessing, False) for file in listing.files)
        self._once = list(itertools.islice((one for one in found if isinstance(one, Decoded)), count))

    def images(self, count: int) -> Iterator[Decoded]:
        for id, one in zip(range(count), itertools.cycle(self._once), strict=False):
            yield Decoded(replace(one.image, id=id), one.pixels)


def row(case: Case, weights: str, listing: Listing, device: torch.device, batch: int | None) -> Row:
    """One case measured."""
    network = Network(load_model(case.model, weights), case.layers.split(","), device, case.precision)
    decoding, batch = Decoding(listing, network, SHARD), batch or network.batch_size
    few = 4 * batch
    passes(network, decoding.images(few), batch)
    enough = 0.7 * few / seconds(lambda: passes(network, decoding.images(few), batch))
    step = SHARD if enough > SHARD / 4 else 2 * batch
    count = min(MOST, max(1, round(enough / step)) * step)
    plans = [
        ShardPlan(number, range(first, min(count, first + SHARD)), (ImageFile("", None),) * min(count, SHARD))
        for number, first in enumerate(range(0, count, SHARD))
    ]
    with tempfile.TemporaryDirectory() as folder:
        task = ShardTask(Path(folder), listing.root, configuration_of(network, False), batch)

        def ours() -> None:
            atomic.remove(task.index / "shards")
            write_shards(task, plans, network, decoding.images(count))

        taken = in_turn(lambda: passes(network, decoding.images(count), batch), ours)
    rates = [count / min(times) for times in taken]
    note = f"{rates[0]:,.0f} and {rates[1]:,.0f} images a second, batches of {batch}"
    return Row(f"{case.name} ({count} images): everything kept / bare forward", *taken, note=note)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", help="a squeezenet1_1 state dict; the other models get random weights")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU where there is one")
    parser.add_argument("--batch", type=int, help="images a forward pass")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/forward.json"))
    options = parser.parse_args(arguments)
    listing, device = list_images(options.images), device_named(options.device)
    title = f"Keeping beside the bare forward pass, on {device}"
    heading(title)
    found: list[Row] = []
    for case in CASES:
        if not options.models or case.model in options.models:
            weights = options.weights if options.weights and case.model == "squeezenet1_1" else "none"
            found.append(row(case, weights, listing, device, options.batch))
            print(found[-1].line(), flush=True)
    write(title, found, options.out)


if __name__ == "__main__":
    main()
