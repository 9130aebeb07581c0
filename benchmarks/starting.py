"""How long commands take to start and to end, beside ``import torch, torchvision``, which most of them wait for.

``python -m benchmarks.starting`` builds a small index in a folder for temporary files and prints a table. Every command
runs in turn with the import, ``--rounds`` times, with bytecode cached. A row has the least seconds of the clock and of
processors that each took, and their ratios: what else the machine does can only add to them.
"""

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

IMPORT = ["-c", "import torch, torchvision"]
LAYER = "layer3"
_BUILD = """
import sys, time
from indexer.jobs.pipeline import decode
plain = decode.decode
def noted(*arguments, **options):
    if decode.decode is noted:
        decode.decode = plain
        print("first image", time.process_time(), file=sys.stderr, flush=True)
    return plain(*arguments, **options)
decode.decode = noted
from indexer.cli import main
from indexer.commands.console.ending import leave
status = main(sys.argv[1:])
print("gone", time.process_time(), flush=True)
leave(status)
"""
"""A build that says when it begins to read its first image, and in its last line what it has used so far."""


@dataclass(frozen=True)
class Took:
    """Seconds of the clock and of processors."""

    clock: float
    cpu: float


def taken(arguments: list[str]) -> Took:
    """From the start of a Python process to its end, with the processes that it started."""
    begun, used = time.perf_counter(), _cpu_of_children()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return Took(time.perf_counter() - begun, _cpu_of_children() - used)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def imported() -> Took:
    """From the start of a process to the end of its imports."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", f"{IMPORT[1]}, time; print(time.process_time(), flush=True)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        cpu = float(process.stdout.readline())
        return Took(time.perf_counter() - begun, cpu)


def build_moments(arguments: list[str]) -> tuple[Took, Took]:
    """Until a build reads its first image, and from its last line until its process is gone."""
    begun, used = time.perf_counter(), _cpu_of_children()
    command = [sys.executable, "-u", "-c", _BUILD, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (said := re.search(rb"first image (\S+)", process.stderr.readline())):
            assert process.poll() is None, "the build failed"
        first = Took(time.perf_counter() - begun, float(said[1]))
        process.stderr.close()
        *_, (last, cpu) = ((time.perf_counter(), line.split()[-1]) for line in process.stdout)
        process.wait()
        return first, Took(time.perf_counter() - last, _cpu_of_children() - used - float(cpu))


def _images(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (240, 320, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.jpg")
    return folder


def _build(images: Path, out: Path) -> list[str]:
    network = ["--model", "resnet18", "--weights", "none", "--layers", LAYER]
    return ["build", str(images), *network, "--out", str(out)]


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
    taken(["-m", "indexer", *_build(images, index)])
    print("| | seconds | import | ratio | CPU seconds | import | ratio |\n| --- | --- | --- | --- | --- | --- | --- |")
    for name, command in _commands(index, folder).items():
        _row(name, *zip(*((taken(["-m", "indexer", *command]), imported()) for _ in range(rounds)), strict=True))
    moments = [(*build_moments(_build(images, folder / f"index-{n}")), imported()) for n in range(rounds)]
    first, gone, alone = zip(*moments, strict=True)
    _row("build, until its first image", first, alone)
    _row("build, from its last line until it is gone", gone, alone)


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
