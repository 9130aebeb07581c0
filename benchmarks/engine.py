"""What handing shards to a Dask cluster costs, and what a second worker gives, on two cores of one machine.

python -m benchmarks.engine --images DIR [--weights FILE] [--out FILE]

This process, the scheduler and the first worker share one core, so whatever the engine does is paid for there; the
second worker has another core. Every process uses one thread for each of decoding, forward pass and writing.
"""

import argparse
import contextlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks import measure
from indexer.derive.executor import runs
from indexer.derive.generation import derive_and_publish
from indexer.images.listing import list_images
from indexer.index.manifest import Manifest
from indexer.jobs.distributed import DaskEngine
from indexer.jobs.pipeline.write_shards import Engine, ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.restore import configuration_of

LAYER = "features.12"
SHARD = 64


class Work:
    """The photographs of a folder, to be indexed in shards of `SHARD` images as often as wanted."""

    def __init__(self, images: Path, weights: str) -> None:
        self.listing = list_images(images.resolve())
        self.network = Network(load_model("squeezenet1_1", weights), [LAYER])
        self.configuration = configuration_of(self.network, keep_images=False)
        files = tuple(self.listing.files)
        self.plans = [
            ShardPlan(number, range(first, end), files[first:end])
            for number, (first, end) in enumerate(runs(len(files), SHARD))
        ]

    def task(self, folder: Path) -> ShardTask:
        return ShardTask(folder, self.listing.root, self.configuration, self.network.batch_size)

    def shards(self, engine: Engine) -> None:
        """Have all shards made."""
        with tempfile.TemporaryDirectory() as folder:
            engine(self.task(Path(folder)), self.plans, progress=lambda images: None)

    def one_by_one(self, task: ShardTask, plans: list[ShardPlan], *, progress: Callable[[int], None]) -> None:
        """The engine without an engine: as a worker does it, which hears of the next shard when one is done."""
        for plan in plans:
            index_shards(task, [plan], self.network, progress)

    def index(self, folder: Path) -> Manifest:
        """An index that is not derived yet."""
        task = self.task(folder)
        shards = index_shards(task, self.plans, self.network)
        empty = Manifest(0, self.configuration, str(self.listing.root), 0, SHARD, task.batch_size)
        return replace(empty, shards=shards)


def pin(cores: set[int]) -> None:
    """Keep all threads of this process on these cores."""
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(ProcessLookupError):  # it ended meanwhile
            os.sched_setaffinity(int(thread), cores)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", default="none")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/engine.json"))
    options = parser.parse_args(arguments)
    here, *others = sorted(os.sched_getaffinity(0))
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    pin({here})
    try:
        measure_all(Work(options.images, options.weights), here, others[0] if others else here, options.out)
    finally:
        pin({here, *others})
        os.environ.pop("OMP_NUM_THREADS") if before is None else os.environ.update(OMP_NUM_THREADS=before)


def measure_all(work: Work, here: int, there: int, out: Path) -> None:
    """Print and write all figures."""
    from distributed import Client, LocalCluster

    title = f"Dask, {len(work.listing.files)} photographs in {len(work.plans)} shards of {SHARD}, squeezenet1_1 {LAYER}"
    rows: list[measure.Row] = []

    def row(name: str, reference: Callable[[], object], measured: Callable[[], object]) -> None:
        rows.append(measure.Row(name, *measure.in_turn(reference, measured)))
        print(rows[-1].line(), flush=True)

    def cluster(workers: int) -> LocalCluster:
        return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0")

    measure.heading(title)
    with cluster(1) as one, cluster(2) as two, tempfile.TemporaryDirectory() as folder:
        with Client(two) as client:
            for worker, core in zip(client.scheduler_info()["workers"], (here, there), strict=True):
                client.run(pin, {core}, workers=[worker])
        through_one, through_two = (DaskEngine(each.scheduler_address) for each in (one, two))
        local = partial(index_shards, network=work.network)
        row("one worker / here, all shards in one go", partial(work.shards, local), partial(work.shards, through_one))
        row(
            "one worker / here, shard after shard",
            partial(work.shards, work.one_by_one), partial(work.shards, through_one),
        )  # fmt: skip
        row("two workers / one worker", partial(work.shards, through_one), partial(work.shards, through_two))
        manifest = work.index(Path(folder))
        derive = partial(derive_and_publish, Path(folder), manifest)
        row("deriving: one worker / here", derive, partial(derive, executor=through_one))
    measure.write(title, rows, out)


if __name__ == "__main__":
    main()
