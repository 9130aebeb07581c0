"""Decoding in threads and in processes, in front of a network that does nothing.

python -m benchmarks.decoders --images DIR [--count 2000] [--processes N] [--rounds 5] [--out FILE]

Photographs of the folder, taken again and again, as squeezenet1_1's preset wants them. What limits a GPU that waits for
pixels is how many images a second come, and how much of a core the process needs that runs the GPU.
"""

import argparse
import itertools
import os
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ROUNDS, write_records
from indexer.defaults import MAX_PIXELS
from indexer.images.listing import ImageFile, Listing, list_images
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode_ahead
from indexer.jobs.pipeline.decoding_processes import decode_in_processes

PRESET = Preprocessing((256,), (224, 224), mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
Decoding = Callable[[], Iterator[Decoded | Skipped]]


@dataclass(frozen=True)
class Pace:
    """Images a second, and the share of a core that the parent and all processes together used."""

    images: float
    parent: float
    together: float


def pace(decoding: Decoding, count: int) -> Pace:
    """Without the start of processes: the clock runs from the first image."""
    images = decoding()
    next(images)
    begun, used = time.perf_counter(), _cpu(resource.RUSAGE_SELF)
    started = _cpu_of_all()
    for _ in images:
        pass
    seconds = time.perf_counter() - begun
    parent = (_cpu(resource.RUSAGE_SELF) - used) / seconds
    return Pace((count - 1) / seconds, parent, (_cpu_of_all() - started) / seconds)


def _cpu(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def _cpu_of_all() -> float:
    """Seconds for which the machine's cores were busy (Linux)."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def in_threads(listing: Listing, files: list[ImageFile]) -> Iterator[Decoded | Skipped]:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        yield from decode_ahead(listing.root, enumerate(files), PRESET, False, threads, 32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=2000, help="images of a round (%(default)s)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that decode (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="in which both take turns (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/decoders.json"))
    options = parser.parse_args()
    listing = list_images(options.images)
    files = list(itertools.islice(itertools.cycle(listing.files), options.count))
    ways: dict[str, Decoding] = {
        "threads": lambda: in_threads(listing, files),
        f"{options.processes} processes": lambda: decode_in_processes(
            listing.root, enumerate(files), PRESET, False, options.processes, MAX_PIXELS
        ),
    }
    rounds = [{name: pace(way, options.count) for name, way in ways.items()} for _ in range(options.rounds)]
    print("| decoding in | images a second | cores used by the parent | by the machine |\n| --- | ---: | ---: | ---: |")
    for name in ways:
        figures = [[getattr(each[name], kind) for each in rounds] for kind in ("images", "parent", "together")]
        images, parent, together = map(statistics.median, figures)
        print(f"| {name} | {images:,.0f} | {parent:.3f} | {together:.2f} |")
    write_records([pace for each in rounds for pace in each.values()], options.out)


if __name__ == "__main__":
    main()
