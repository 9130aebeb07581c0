"""Keeping every location by another commit and by this one, each beside the floor.

python -m benchmarks.versions CHECKOUT --images DIR [--weights FILE] [--models NAME ...] [--limit N] [--out FILE]

CHECKOUT is a working tree of the other commit, as ``git worktree add`` makes it. Both commits stay loaded in a process
of their own and take turns: the floor by this commit, then the other commit, then this one.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.indexing import CASES, Case
from benchmarks.measure import Row, heading, rounds, write
from indexer.defaults import FLOAT32

HERE = Path(__file__).parents[1]


class Version:
    """A commit that answers from a process of its own, see `benchmarks.version_worker`."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._asked, self._answers = process.stdin, process.stdout

    def ask(self, what: object) -> float:
        self._asked.write(json.dumps(what) + "\n")
        self._asked.flush()
        return float(self._answers.readline())


@contextmanager
def version(checkout: Path, images: Path, weights: str) -> Iterator[Version]:
    """A commit, while it answers. Its working directory and its packages are the checkout's."""
    command = [sys.executable, "-P", str(HERE / "benchmarks" / "version_worker.py"), str(images.resolve()), weights]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=checkout,
        env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
    ) as process:  # fmt: skip
        yield Version(process)


def rows(case: Case, other: Version, this: Version) -> list[Row]:
    """Both commits beside the floor, and this one beside the other."""
    asked = {"model": case.model, "layers": case.layers, "images": case.images}
    kept_by_other, kept_by_this = (version.ask(asked) for version in (other, this))
    floor, before, now = rounds(
        lambda _: this.ask("floor"), lambda _: other.ask("kept"), lambda _: this.ask("kept")
    )  # fmt: skip
    name = f"{case.name} ({case.images} images): "
    return [
        Row(f"{name}the other commit / floor", floor, before, f"{kept_by_other / 1e3:.1f} kB an image"),
        Row(f"{name}this commit / floor", floor, now, f"{kept_by_this / 1e3:.1f} kB an image"),
        Row(f"{name}this commit / the other", before, now),
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", type=Path, help="a working tree of the other commit")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="none", help="a squeezenet1_1 state dict; the others get random weights")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--limit", type=int, help="at most so many images a row")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/versions.json"))
    options = parser.parse_args(arguments)
    title = f"Two commits on {os.cpu_count()} cores"
    heading(title)
    found: list[Row] = []
    cases = [case for case in CASES if "floor" in case.questions and case.precision == FLOAT32]
    weights = options.weights if options.weights == "none" else str(Path(options.weights).resolve())
    with (
        version(options.checkout, options.images, weights) as other,
        version(HERE, options.images, weights) as this,
    ):
        for case in cases:
            if options.models and case.model not in options.models:
                continue
            for row in rows(replace(case, images=min(case.images, options.limit or case.images)), other, this):
                print(row.line(), flush=True)
                found.append(row)
    write(title, found, options.out)


if __name__ == "__main__":
    main()
