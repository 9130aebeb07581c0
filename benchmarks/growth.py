"""Time and peak memory of every stage by number of images, each in a process of its own, with a fitted exponent.

python -m benchmarks.growth --images DIR [--weights FILE] [--counts 1000 10000] [--out FILE]

The photographs of the folder are taken again and again until there are enough.
"""

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from indexer.derive.generation import derive_and_publish
from indexer.images.listing import list_images
from indexer.jobs.load import configuration_of
from indexer.jobs.plan import ShardPlan
from indexer.jobs.run import ShardTask, index_shards
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.threads import batch_size
from indexer.store.manifest import Manifest

LAYER = "features.12"
SHARD = 1024
STATUS = Path("/proc/self/status")


def peak_of(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What work gives, its seconds, and by how many megabytes it raised this process's peak memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is resident now
    before, started = _kilobytes("VmRSS"), time.perf_counter()
    result = work()
    return result, time.perf_counter() - started, (_kilobytes("VmHWM") - before) / 1024


def _kilobytes(name: str) -> int:
    return next(int(line.split()[1]) for line in STATUS.read_text().splitlines() if line.startswith(name))


def stages(folder: Path, weights: str, count: int) -> dict[str, float]:
    """Index ``count`` images with squeezenet1_1, one layer, then derive."""
    listing = list_images(folder)
    files = tuple(itertools.islice(itertools.cycle(listing.files), count))
    network = Network(load_model("squeezenet1_1", weights), [LAYER])
    size = batch_size(network.device)
    with tempfile.TemporaryDirectory() as index:
        task = ShardTask(Path(index), listing.root, configuration_of(network, False), size)
        plans = [
            ShardPlan(number, tuple(range(first, min(first + SHARD, count))), files[first : first + SHARD])
            for number, first in enumerate(range(0, count, SHARD))
        ]
        network.run(np.zeros((size, *network.model.preprocessing.input_size, 3), np.uint8), lambda layer, maps: None)
        shards, indexing, indexing_mb = peak_of(lambda: index_shards(task, plans, network))
        manifest = replace(Manifest(0, task.configuration, str(listing.root), count, SHARD, size), shards=shards)
        _, deriving, deriving_mb = peak_of(lambda: derive_and_publish(Path(index), manifest))
    return {
        "images": count, "indexing s": indexing, "indexing MB": indexing_mb, "deriving s": deriving,
        "deriving MB": deriving_mb,
    }  # fmt: skip


def exponent(counts: list[float], values: list[float]) -> float:
    """Slope of log value over log count."""
    return float(np.polyfit(np.log(counts), np.log(np.maximum(values, 1e-9)), 1)[0])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="none")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--one", type=int, help="measure this count here, print JSON")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth.json"))
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(stages(options.images, options.weights, options.one)))
        return
    program = [sys.executable, "-m", "benchmarks.growth", "--images", options.images, "--weights", options.weights]
    rows = []
    for count in options.counts:
        done = subprocess.run([*program, "--one", str(count)], check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        if count == options.counts[0]:
            print(f"\n| {' | '.join(rows[0])} |\n|{' --- |' * len(rows[0])}")
        print("| " + " | ".join(f"{value:,.1f}" for value in rows[-1].values()) + " |", flush=True)
    if len(rows) > 1:
        counts = [row["images"] for row in rows]
        slopes = [f"{exponent(counts, [row[name] for row in rows]):.2f}" for name in list(rows[0])[1:]]
        print(f"| exponent | {' | '.join(slopes)} |")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
