"""What every stage of an index costs, by number of images, with fitted exponents.

python -m benchmarks.growth --images DIR [--weights FILE] [--counts 1000 10000] [--out FILE]
python -m benchmarks.growth --generated INDEX [--side 3] [--counts 10000 100000 1000000] [--out FILE]

Photographs of a folder, taken again and again until there are enough; or maps generated from those of an index, as
`benchmarks.generate` makes them, so that there is no network in front of what grows. Indexing, deriving and questions
run in a process each. Before the questions, the index's files are dropped from the page cache.
"""

import argparse
import itertools
import json
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np

import indexer
from benchmarks.generate import generate
from benchmarks.limited import forget_pages
from benchmarks.stages import Cost, Watch
from indexer.defaults import SHARD_SIZE
from indexer.derive.executor import runs
from indexer.derive.generation import derive_and_publish
from indexer.images.listing import list_images
from indexer.index.manifest import Manifest
from indexer.jobs.pipeline.write_shards import ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.restore import configuration_of
from indexer.query.index import Index

LAYER = "features.12"
ASKED = 40
Costs = dict[str, Cost]
Maker = Callable[[Path, int], tuple[Costs, Manifest]]
"""Folder and number of images -> shards in it, and a manifest that is not derived yet."""


def of_photographs(folder: Path, weights: str, out: Path, count: int) -> tuple[Costs, Manifest]:
    """Index photographs with squeezenet1_1, one layer."""
    listing = list_images(folder)
    files = tuple(itertools.islice(itertools.cycle(listing.files), count))
    network = Network(load_model("squeezenet1_1", weights), [LAYER])
    size = network.batch_size
    task = ShardTask(out, listing.root, configuration_of(network, False), size)
    plans = [
        ShardPlan(number, tuple(range(first, end)), files[first:end])
        for number, (first, end) in enumerate(runs(count, SHARD_SIZE))
    ]
    network.run(np.zeros((size, *network.model.preprocessing.input_size, 3), np.uint8), lambda layer, maps: None)
    with Watch() as watch:
        watch.stage("indexing")
        shards = index_shards(task, plans, network)
    manifest = Manifest(0, task.configuration, str(listing.root), count, SHARD_SIZE, size)
    return watch.costs, replace(manifest, shards=shards)


def of_another(source: Path, side: int, out: Path, count: int) -> tuple[Costs, Manifest]:
    """Generate shards from an index."""
    with Watch() as watch:
        watch.stage("generating shards")
        manifest = generate(source, LAYER, count, out, SHARD_SIZE, side)
    return watch.costs, manifest


def derive(out: Path, manifest: Manifest) -> tuple[Costs, Manifest]:
    """Peaks, statistics and histograms, then FAISS, and the publishing of both."""
    with Watch() as watch:
        watch.stage("deriving but FAISS")
        report = lambda what: watch.stage("FAISS") if what.endswith(": vectors") else None  # noqa: E731
        published = derive_and_publish(out, manifest, report)
    return watch.costs, published


def questions(index: Index) -> dict[str, Callable[[int], object]]:
    """By name; each number asks about another neuron or image."""
    info, images = index.layer(LAYER).info, len(index.images)
    cell = lambda n: (n * 97 % images, LAYER, n % info.height, n % info.width)  # noqa: E731
    return {
        "top patches": lambda n: index.top_patches(LAYER, n * 7 % info.channels, limit=9),
        "neurons firing": lambda n: index.neurons_firing(cell(n)[0], layer=LAYER, limit=9),
        "nearest patches": lambda n: index.similar(LAYER, cell(n)[0], *cell(n)[2:], limit=10),
    }


def ask(out: Path) -> Costs:
    """Open the index, ask one question of each kind, then others that were asked once before."""
    faiss.omp_set_num_threads(1)  # as the service's processes have it
    forget_pages(out)
    with Watch() as watch:
        watch.stage("opening")
        with indexer.open(out) as index:
            asked = questions(index)
            for name, question in asked.items():
                watch.stage(f"first {name}")
                question(0)
            for name, question in asked.items():
                watch.stage("")
                for number in range(1, ASKED + 1):
                    question(number)
                watch.stage(name)
                seconds = [_seconds(question, number) for number in range(1, ASKED + 1)]
                watch.stage("")
                each = replace(watch.costs.pop(name), seconds=statistics.median(seconds))
                watch.costs[f"{name}, again, p50"] = replace(each, cpu=each.cpu / ASKED)
    return watch.costs


def _seconds(question: Callable[[int], object], number: int) -> float:
    started = time.perf_counter()
    question(number)
    return time.perf_counter() - started


def stages(make: Maker, count: int) -> Costs:
    """All stages of an index of so many images, which is removed again."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "index"
        made, manifest = in_own_process(make, out, count)
        derived, published = in_own_process(derive, out, manifest)
        print(f"{count:,} images; FAISS: {published.vectors[LAYER]}", flush=True)
        return made | derived | in_own_process(ask, out)


def in_own_process(work: Callable[..., Any], *arguments: object) -> Any:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def exponent(counts: list[int], values: list[float]) -> float:
    """Slope of log value over log count; NaN for one count."""
    if len(counts) < 2:
        return float("nan")
    return float(np.polyfit(np.log(counts), np.log(np.maximum(values, 1e-9)), 1)[0])


def line(name: str, counts: list[int], costs: list[Cost]) -> str:
    """Of a Markdown table: what a stage costs at each count, then the exponents of CPU time and own memory."""
    cells = [f"{_time(cost.seconds)}, {_time(cost.cpu)}, {cost.own:,.0f}, {cost.resident:,.0f}" for cost in costs]
    slopes = [exponent(counts, [getattr(cost, what) for cost in costs]) for what in ("cpu", "own")]
    return f"| {name} | {' | '.join(cells)} | {', '.join(f'{slope:.2f}' for slope in slopes)} |"


def _time(seconds: float) -> str:
    return f"{seconds:,.1f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--images", type=Path, help="a folder of photographs")
    source.add_argument("--generated", type=Path, help="an index to generate others from")
    parser.add_argument("--weights", default="none", help="of squeezenet1_1, for photographs")
    parser.add_argument("--side", type=int, default=1, help="rows and columns of generated maps")
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/growth.json"))
    options = parser.parse_args(arguments)
    if options.images:
        make = partial(of_photographs, options.images, options.weights)
    else:
        make = partial(of_another, options.generated, options.side)
    found: list[Costs] = []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for count in options.counts:
        found.append(stages(make, count))
        figures = {
            count: {name: asdict(cost) for name, cost in costs.items()}
            for count, costs in zip(options.counts, found, strict=False)
        }
        options.out.write_text(json.dumps(figures, indent=1))
    print("\nBy images: time, CPU time, own MB, resident MB; exponents of CPU time and own MB\n")
    print(f"| | {' | '.join(f'{count:,}' for count in options.counts)} | |\n|{' --- |' * (len(options.counts) + 2)}")
    for name in found[0]:
        print(line(name, options.counts, [costs[name] for costs in found]))


if __name__ == "__main__":
    main()
