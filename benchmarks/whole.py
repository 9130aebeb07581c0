"""A build as a whole, from the shell's prompt to the next, beside the floor in a process of its own.

python -m benchmarks.whole --images DIR --weights FILE [--count 1000] [--rounds 5] [--out FILE]

Both index the same photographs, squeezenet1_1 features.12, and take turns; those of DIR are copied again and again
until there are enough. The build says when it begins its first image, when its shards are written and when its files
are derived. The floor, which keeps nothing, imports and loads the same network.
"""

import argparse
import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import ROUNDS, Row, write
from benchmarks.moments import build_parts
from indexer.images.listing import list_images

_FLOOR = """
import sys
from pathlib import Path
from benchmarks.floor import floor
from indexer.images.listing import list_images
from indexer.network.forward import Network
from indexer.network.models import load_model
listing = list_images(Path(sys.argv[1]))
floor(listing.root, listing.files, Network(load_model("squeezenet1_1", sys.argv[2]), ["features.12"]))
"""


def copied(images: Path, folder: Path, count: int) -> Path:
    """So many copies of the photographs of a folder."""
    folder.mkdir()
    listing = list_images(images)
    for number, file in enumerate(itertools.islice(itertools.cycle(listing.files), count)):
        source = Path(str(listing.root)) / file.path
        shutil.copyfile(source, folder / f"{number:06}{source.suffix}")
    return folder


def floor_alone(images: Path, weights: Path) -> float:
    """Seconds of the floor's own process."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", _FLOOR, str(images), str(weights)], check=True)
    return time.perf_counter() - begun


def build(images: Path, weights: Path, out: Path) -> dict[str, float]:
    """Seconds of each part of a build, in their order; the last is the end of the process."""
    network = ["--model", "squeezenet1_1", "--weights", str(weights), "--layers", "features.12"]
    parts = build_parts([str(images), *network, "--out", str(out)])
    return {name: took.clock for name, took in parts.items()}


def print_parts(rounds: Sequence[dict[str, float]]) -> None:
    print("\n| part of the build | seconds: median (spread) |\n| --- | --- |")
    for name in rounds[0]:
        taken = [parts[name] for parts in rounds]
        print(f"| {name} | {statistics.median(taken):.2f} ({min(taken):.2f}-{max(taken):.2f}) |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True, help="a squeezenet1_1 state dict")
    parser.add_argument("--count", type=int, default=1000, help="photographs (%(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="after one that is not counted (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/whole.json"))
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every start would compile all of torch anew
    floors, builds = [], []
    with tempfile.TemporaryDirectory() as folder:
        images = copied(options.images, Path(folder) / "images", options.count)
        for number in range(options.rounds + 1):
            floors.append(floor_alone(images, options.weights))
            builds.append(build(images, options.weights, Path(folder) / f"index-{number}"))
    row = Row(
        f"build of {options.count} / floor's own process", floors[1:], [sum(each.values()) for each in builds[1:]]
    )
    print(f"| what | floor (s) | build (s) | ratio: median (spread) | |\n| --- | --- | --- | --- | --- |\n{row.line()}")
    print_parts(builds[1:])
    write("A build as a whole", [row], options.out)


if __name__ == "__main__":
    main()
