"""Images a second that several clients look up at once, beside one batch by hand; with shared passes and without.

python -m benchmarks.uploads INDEX --layer features.7 [--weights FILE] [--clients 1 4 16] [--share 8] [--rounds 5]

A lookup wants the layer that is asked for and, where it is indexed, the network's output. By hand, a program decodes as
many photographs as there are clients and sends them through the network in one batch, on one thread, for ever. Services
with ``--forward-share`` 1 and ``--share``, and the program by hand, take turns.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import indexer
from benchmarks import clients
from benchmarks.clients import Address
from benchmarks.measure import write_records
from indexer.images.reading import read_picture
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.lookup import layers_for

SECONDS = 4.0
FILES = 32


@dataclass(frozen=True)
class Rates:
    """Images a second of each round, by way; and whether a batch equals each image alone, bit for bit."""

    clients: int
    equal: bool
    by_hand: list[float]
    alone: list[float]
    shared: list[float]

    def line(self) -> str:
        ratios = [shared / alone for shared, alone in zip(self.shared, self.alone, strict=True)]
        rates = " | ".join(f"{statistics.median(rates):.1f}" for rates in (self.by_hand, self.alone, self.shared))
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        return f"| {self.clients} | {rates} | {ratio} | {'yes' if self.equal else 'no'} |"


HEADING = (
    "| clients | a batch by hand | one by one | shared | shared / one by one | a batch equals each alone |\n"
    "| ---: | ---: | ---: | ---: | --- | --- |"
)


def looked_up(address: Address, path: str, files: Sequence[bytes], count: int) -> float:
    """Images a second to so many clients together."""
    started = time.perf_counter()
    until = started + SECONDS

    def ask(client: int) -> int:
        number = 0
        with closing(clients.connect(address)) as connection:
            while time.perf_counter() < until:
                clients.upload(connection, path, files[(client + number) % len(files)])
                number += 1
        return number

    with ThreadPoolExecutor(count) as pool:
        total = sum(pool.map(ask, range(count)))
    return total / (time.perf_counter() - started)


def by_hand(network: Network, layers: list[str] | None, files: Sequence[bytes], count: int) -> float:
    """Images a second of batches of so many."""
    started, total = time.perf_counter(), 0
    while time.perf_counter() < started + SECONDS:
        _maps(network, layers, [files[(total + n) % len(files)] for n in range(count)])
        total += count
    return total / (time.perf_counter() - started)


def equal(network: Network, layers: list[str] | None, files: Sequence[bytes], count: int) -> bool:
    """Whether a batch of so many gives the bits that each image gives alone."""
    together = _maps(network, layers, files[:count])
    return all(
        np.array_equal(maps[0], together[layer][number])
        for number, file in enumerate(files[:count])
        for layer, maps in _maps(network, layers, [file]).items()
    )


def _maps(network: Network, layers: list[str] | None, files: Sequence[bytes]) -> dict[str, np.ndarray]:
    pixels = [network.model.preprocessing.pixels(read_picture(file)) for file in files]
    return network.maps_of(pixels, layers)


def measured(
    index: Index, network: Network, layer: str, count: int, share: int, rounds: int, addresses: tuple[Address, Address]
) -> Rates:
    """One row, after a round that is not counted."""
    root = Path(index.manifest.image_root)
    files = [(root / record.path).read_bytes() for record in index.find_images(limit=FILES).items]
    path = f"/v1/indexes/{index.name}/lookup?layer={layer}&limit=10"
    layers = layers_for(index, layer)
    ways: list[Callable[[], float]] = [
        lambda: by_hand(network, layers, files, count),
        *(lambda address=address: looked_up(address, path, files, count) for address in addresses),
    ]
    found = [[way() for way in ways] for _ in range(rounds + 1)][1:]
    return Rates(
        count, equal(network, layers, files, min(count, share)), *([one[way] for one in found] for way in range(3))
    )


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path, help="one of photographs")
    parser.add_argument("--layer", default="features.7")
    parser.add_argument("--weights", help="of its network, if not where they were")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--share", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a JSON of all figures")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    waiting = max(options.clients)
    flags = ["--forward-queue", str(waiting), "--threads", str(2 * waiting + 8), "--workers", "2"]
    flags += ["--weights", options.weights] if options.weights else []
    found = []
    with indexer.open(options.index) as index, ExitStack() as stack:
        network = index.network(options.weights)
        addresses = tuple(
            stack.enter_context(clients.serving(index.path, *flags, "--forward-share", str(share)))
            for share in (1, options.share)
        )
        print(f"\n{options.layer}, shares of {options.share}, load {os.getloadavg()[0]:.1f}\n\n{HEADING}", flush=True)
        for count in options.clients:
            found.append(measured(index, network, options.layer, count, options.share, options.rounds, addresses))
            print(found[-1].line(), flush=True)
    if options.out:
        write_records(found, options.out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
