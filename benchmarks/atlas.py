"""What an atlas costs to make: seconds, memory, and the share of true neighbours that it keeps.

``python -m benchmarks.atlas INDEX --layer 10 --fitted 10000 30000 100000 --points 1000000 --out FILE.json``

For each count of fitted cells, an atlas of as many cells is made; then one of ``--points`` cells, of which the fewest
are fitted and the others placed. Each is made in a process of its own and is not kept. Memory is what the process had
of its own beyond what it had when its libraries were loaded and the index open. Nothing is measured in turns: the load
of the machine stands beside it.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import indexer
from benchmarks.measure import write_records
from benchmarks.stages import Watch
from indexer.jobs.derived.atlas import make_atlas

HEAD: Final = (
    "| cells | fitted | perplexity | kept | two components | laying out (s) | placing (s) | own memory (MB) | load |\n"
    f"|{' ---: |' * 9}"
)


@dataclass(frozen=True)
class Cost:
    """A row of the table. Laying out contains reading the fitted cells and measuring what is kept."""

    points: int
    fitted: int
    perplexity: int
    kept: float
    kept_by_pca: float
    laying_out: float
    placing: float
    megabytes: float
    load: float

    def line(self) -> str:
        """The row in Markdown."""
        return (
            f"| {self.points:,} | {self.fitted:,} | {self.perplexity} | {self.kept:.1%} | {self.kept_by_pca:.1%} | "
            f"{self.laying_out:.0f} | {self.placing:.0f} | {self.megabytes:.0f} | {self.load:.0f} |"
        )


def cost_of(index: Path, layer: str, points: int, fitted: int) -> Cost:
    """Make one atlas, in this process."""
    for module in ("openTSNE.affinity", "openTSNE.nearest_neighbors"):  # not while it is watched
        importlib.import_module(module)
    with indexer.open(index) as opened, Watch() as watch:
        made = make_atlas(
            opened, layer, points=points, fitted=fitted, report=lambda stage: watch.stage(stage.partition(" ")[0])
        )
    costs = watch.costs
    placing = costs["placing"].seconds if "placing" in costs else 0.0
    return Cost(
        len(made), int(made.fitted.sum()), made.recipe.perplexity, made.kept, made.kept_by_pca,
        costs["laying"].seconds, placing, max(cost.own for cost in costs.values()), os.getloadavg()[0],
    )  # fmt: skip


def in_its_own_process(index: Path, layer: str, points: int, fitted: int) -> Cost:
    """`cost_of` in a process that has done nothing else."""
    asked = ["--layer", layer, "--only", str(points), str(fitted)]
    command = [sys.executable, "-m", "benchmarks.atlas", str(index), *asked]
    return Cost(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer", required=True)
    parser.add_argument("--fitted", type=int, nargs="+", default=[10_000, 30_000, 100_000], help="(%(default)s)")
    parser.add_argument("--points", type=int, default=1_000_000, help="(%(default)s)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=int, nargs=2, help="points and fitted; print what was found as JSON")
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(asdict(cost_of(options.index, options.layer, *options.only))))
        return
    print(HEAD, flush=True)
    found = []
    for points, fitted in [*((count, count) for count in options.fitted), (options.points, min(options.fitted))]:
        found.append(in_its_own_process(options.index, options.layer, points, fitted))
        print(found[-1].line(), flush=True)
    if options.out:
        write_records(found, options.out)


if __name__ == "__main__":
    main()
