"""How long commands take to start and to end, beside ``import torch, torchvision``, which most of them wait for.

``python -m benchmarks.starting`` builds a small index in a folder for temporary files and prints a table. Every command
runs in turn with the import, ``--rounds`` times, with bytecode cached; a row has medians and their ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMPORT = ["-c", "import torch, torchvision"]
LAYER = "layer3"
_FIRST_IMAGE = """
import sys, time
from indexer.jobs.pipeline import decode
plain = decode.decode
def noted(*arguments):
    if decode.decode is noted:
        decode.decode = plain
        print("first image", file=sys.stderr, flush=True)
    return plain(*arguments)
decode.decode = noted
from indexer.cli import main
from indexer.commands.console.ending import leave
leave(main(sys.argv[1:]))
"""
"""A build that says when it begins to read its first image."""


def seconds(arguments: list[str]) -> float:
    """From the start of a Python process to its end."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def imported() -> float:
    """From the start of a process to the end of its imports."""
    begun = time.perf_counter()
    command = [sys.executable, "-c", f"{IMPORT[1]}; print(flush=True)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.readline()
        return time.perf_counter() - begun


def build_moments(arguments: list[str]) -> tuple[float, float]:
    """Seconds until a build reads its first image, and from its last line until its process is gone."""
    begun = time.perf_counter()
    command = [sys.executable, "-u", "-c", _FIRST_IMAGE, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while b"first image" not in process.stderr.readline():
            assert process.poll() is None, "the build failed"
        first = time.perf_counter() - begun
        process.stderr.close()
        last = begun
        while process.stdout.readline():
            last = time.perf_counter()
        process.wait()
        return first, time.perf_counter() - last


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
    seconds(["-m", "indexer", *_build(images, index)])
    print("| | seconds | `import torch, torchvision` beside it | ratio |\n| --- | --- | --- | --- |")
    for name, command in _commands(index, folder).items():
        _row(name, *zip(*((seconds(["-m", "indexer", *command]), imported()) for _ in range(rounds)), strict=True))
    moments = [(*build_moments(_build(images, folder / f"index-{n}")), imported()) for n in range(rounds)]
    first, gone, alone = zip(*moments, strict=True)
    _row("build, until its first image", first, alone)
    _row("build, from its last line until it is gone", gone, alone)


def _row(name: str, taken: tuple[float, ...], alone: tuple[float, ...]) -> None:
    mine, beside = statistics.median(taken), statistics.median(alone)
    print(f"| {name} | {mine:.2f} | {beside:.2f} | {mine / beside:.2f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="how often each is run (%(default)s)")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # every start would compile all of torch anew
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
