"""How long commands take to start and to end, beside ``import torch, torchvision``, which most of them wait for.

``python -m benchmarks.starting`` builds a small index in a folder for temporary files and prints a table. Every command
runs in turn with the import, ``--rounds`` times, with bytecode cached. A row has the least seconds of the clock and of
processors that each took, and their ratios: what else the machine does can only add to them.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.moments import FIRST_IMAGE, GONE, Took, build_parts, cpu_of_children

IMPORT = ["-c", "import torch, torchvision"]
LAYER = "layer3"


def taken(arguments: list[str]) -> Took:
    """From the start of a Python process to its end, with the processes that it started."""
    begun, used = time.perf_counter(), cpu_of_children()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Took(time.perf_counter() - begun, cpu_of_children() - used)


def imported() -> Took:
    """From the start of a process to the end of its imports."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", f"{IMPORT[1]}, time; print(time.process_time(), flush=True)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        cpu = float(process.stdout.readline())
        return Took(time.perf_counter() - begun, cpu)


def _images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (240, 320, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return folder


def _build(images: Path, out: Path) -> list[str]:
    network = ["--model", "resnet18", "--weights", "none", "--layers", LAYER]
    return [str(images), *network, "--out", str(out)]


def _commands(index: Path, out: Path) -> dict[str, list[str]]:
    return {
        "--help": ["--help"],
        "build --help": ["build", "--help"],
        "info": ["info", str(index)],
        "report": ["report", str(index)],
        "verify": ["verify", str(index)],
        "sheet": ["sheet", str(index), "--layer", LAYER, "--neurons", "1", "--out", str(out / "sheet.png")],
    }


def measure(folder: Path, rounds: int) -> None:
    images, index = _images(folder / "images", 64), folder / "index"
    taken(["-m", "indexer", "build", *_build(images, index)])
    print("| | seconds | import | ratio | CPU seconds | import | ratio |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, command in _commands(index, folder).items():
        _row(name, *zip(*((taken(["-m", "indexer", *command]), imported()) for _ in range(rounds)), strict=True))
    builds = [(build_parts(_build(images, folder / f"index-{n}")), imported()) for n in range(rounds)]
    alone = tuple(took for _, took in builds)
    for name, part in ("until its first image", FIRST_IMAGE), ("from its last line until it is gone", GONE):
        _row(f"build, {name}", tuple(parts[part] for parts, _ in builds), alone)


def _row(name: str, mine: tuple[Took, ...], alone: tuple[Took, ...]) -> None:
    cells = []
    for kind in ("clock", "cpu"):
        one, other = (min(getattr(each, kind) for each in some) for some in (mine, alone))
        cells.append(f"{one:.2f} | {other:.2f} | {one / other:.2f}")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (%(default)s)")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every start would compile all of torch anew
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
