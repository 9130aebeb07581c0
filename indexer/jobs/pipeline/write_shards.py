"""A plan -> its shards: decoding, forward passes and writing overlap.

1. A pool of threads, or of processes, decodes ahead.
2. The calling thread gathers batches and starts forward passes, several at once, in a second pool.
3. It hands the passes over, in order, to a thread for each shard (`indexer.jobs.pipeline.handover`). That thread opens
   the shard, writes the passes as they end, and gives the shard its name. A fourth pool counts and compresses for it.

Both queues, of images and of passes, are bounded, so memory does not depend on the number of images.
"""

import contextlib
import itertools
import logging
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from indexer.defaults import MAX_PIXELS
from indexer.errors import DamagedFile, InvalidRequest, NotReproducible
from indexer.images.listing import ImageFile
from indexer.index import layout
from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.pipeline.decode import Decoded, Skipped, decode_ahead
from indexer.jobs.pipeline.decoding_processes import decode_in_processes
from indexer.jobs.pipeline.forwarding import Passes, StartedPass, Tables, batches, tables_of
from indexer.jobs.pipeline.handover import Handover
from indexer.jobs.plan import Plan, ShardPlan
from indexer.jobs.shard_file import attributes_of
from indexer.jobs.written import planned_shard
from indexer.network.forward import Network
from indexer.network.passes.threads import forward_pool, passes_at_once
from indexer.shards.writer import ShardWriter
from indexer.store import atomic, durable
from indexer.store.remote import parse_location
from indexer.store.storage import Location
from indexer.system.cores import cores
from indexer.system.malloc import give_back_freed_memory, share_heaps

log = logging.getLogger(__name__)

_BATCHES_AHEAD = 2
_WRITES_WAITING = 2
"""Passes that may wait to be written, beside those that run."""
SHARDS_AT_ONCE = 2
"""Shards in memory. While one ends, which leaves cores idle now and then, the next is written."""
Progress = Callable[[int], None]
"""Told numbers of images."""


@dataclass(frozen=True)
class ShardTask:
    """Everything that decides the content of shards."""

    index: Location
    image_root: Location
    configuration: Configuration
    batch_size: int
    limits: Limits = DEFAULT_LIMITS
    max_pixels: int = MAX_PIXELS


def index_shards(
    task: ShardTask, plans: list[ShardPlan], network: Network, progress: Progress = lambda images: None
) -> list[ShardInfo]:
    """Write shards, which are decided by the task and the plan alone; the one way in which any engine makes them.

    Each appears under its name only when it is whole. A shard that another run of the same plan wrote meanwhile stays.
    """
    share_heaps()
    images = ((id, file) for plan in plans for id, file in zip(plan.ids, plan.files, strict=True))
    with _decoding(task, images, network) as decoded:
        return write_shards(task, plans, network, decoded, progress)


@contextlib.contextmanager
def _decoding(
    task: ShardTask, images: Iterator[tuple[int, ImageFile]], network: Network
) -> Iterator[Iterator[Decoded | Skipped]]:
    preprocessing, keep = task.configuration.preprocessing, task.configuration.keep_images
    if task.limits.decoders:
        processes = decode_in_processes(
            task.image_root, images, preprocessing, keep, task.limits.decoders, task.max_pixels
        )
        with contextlib.closing(processes) as decoded:
            yield decoded
        return
    ahead = _BATCHES_AHEAD * task.batch_size * passes_at_once(network.device)
    with ThreadPoolExecutor(cores()) as threads:
        yield decode_ahead(task.image_root, images, preprocessing, keep, threads, ahead, task.max_pixels)


def write_shards(
    task: ShardTask,
    plans: list[ShardPlan],
    network: Network,
    decoded: Iterator[Decoded | Skipped],
    progress: Progress = lambda images: None,
) -> list[ShardInfo]:
    """Write shards of images that come decoded, in the order of the plans."""
    (task.index / layout.SHARDS).mkdir(parents=True, exist_ok=True)
    with (
        forward_pool(network, task.limits.passes) as (forwards, at_once),
        ThreadPoolExecutor(cores()) as workers,
        ThreadPoolExecutor(SHARDS_AT_ONCE) as writers,
    ):
        passes = Passes(network, forwards, task.batch_size, task.limits.bad_images)
        handover = Handover[StartedPass](_WRITES_WAITING + at_once)
        shards: list[Future[ShardInfo]] = []
        for plan in plans:
            tables = tables_of(network)
            with handover.filling(plan.number):
                shards.append(writers.submit(_write_shard, task, plan, handover, workers, tables))
                for batch in batches(itertools.islice(decoded, len(plan.ids)), task.batch_size):
                    handover.put(passes.start(batch, tables))
                    progress(len(batch.usable) + len(batch.skipped))
        return [shard.result() for shard in shards]


def _write_shard(
    task: ShardTask, plan: ShardPlan, handover: Handover[StartedPass], workers: ThreadPoolExecutor, tables: Tables
) -> ShardInfo:
    """One shard from its opening to its name; where anything fails, nothing of it stays."""
    written: ShardInfo | None = None
    file = layout.shard_file(plan.number)
    with handover.taking(plan.number) as passes:
        try:
            with atomic.creating(task.index / file) as partial:
                rows, skipped = _write_file(partial, task.configuration, plan, passes, workers, tables)
                give_back_freed_memory()  # of its tables and rows, among blocks that are still used
                flushing = workers.submit(durable.flush, partial)  # the disk works while the file is read from memory
                digest = atomic.file_sha256(partial)
                flushing.result()
                written = ShardInfo(file, rows, digest, plan.ids[0], plan.ids[-1] + 1, skipped)
        except FileExistsError as error:
            if written is None:  # something else failed, before the shard was to get its name
                raise
            return _shard_of_another_run(task, plan, error)
    return written


def _write_file(
    path: Path,
    configuration: Configuration,
    plan: ShardPlan,
    passes: Iterator[StartedPass],
    workers: ThreadPoolExecutor,
    tables: Tables,
) -> tuple[int, int]:
    """Write a shard's file; how many images it keeps, and how many were skipped."""
    attributes = attributes_of(configuration, plan.number, plan.ids[0], plan.ids[-1] + 1)
    counted = {layer: table.histogram for layer, table in tables.items()}
    with ShardWriter(path, configuration.shapes, attributes, configuration.keep_images, workers, counted) as writer:
        _write_passes(writer, passes)
        return writer.close()


def _write_passes(writer: ShardWriter, passes: Iterator[StartedPass]) -> None:
    # A function of its own, so that the last pass is not in memory while the shard ends.
    for started in passes:
        forwarded = started.result()
        writer.add(forwarded.images, forwarded.layers)
        for image in forwarded.skipped:
            writer.skip(image.path, image.reason)


def _shard_of_another_run(task: ShardTask, plan: ShardPlan, error: FileExistsError) -> ShardInfo:
    file = layout.shard_file(plan.number)
    log.info("%s was written by another run meanwhile", file)
    existing = planned_shard(task.index, plan, task.configuration)
    if existing is None:
        raise DamagedFile(file, "was put there by another job; run this one again") from error
    return existing


class Engine(Protocol):
    """Has shards made by `index_shards`, here or elsewhere."""

    def __call__(self, task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
        """The shards of these plans, in their order; none of them is there yet."""


def run_plan(
    index: Location,
    plan: Plan,
    listed: Container[str],
    engine: Engine,
    progress: Progress,
    limits: Limits = DEFAULT_LIMITS,
) -> list[ShardInfo]:
    """Write the shards of a plan that are not there yet; return all of them, in order. See `write_missing`."""
    max_pixels = plan.intake.max_pixels if plan.intake else MAX_PIXELS
    task = ShardTask(
        index.resolve(), parse_location(plan.image_root), plan.configuration, plan.batch_size, limits, max_pixels
    )
    return write_missing(task, plan.shards(), listed, engine, progress)


def write_missing(
    task: ShardTask, plans: Sequence[ShardPlan], listed: Container[str], engine: Engine, progress: Progress
) -> list[ShardInfo]:
    """Write those of the planned shards that an interrupted job has not left; return all of them, in order.

    Raises
    ------
    InvalidRequest
        A planned file is among those that the index lists already. Nothing is written.
    NotReproducible
        None of the planned shards is left, as those that were written before cannot be trusted either.
    """
    _refuse_listed(plans, listed)
    atomic.remove_partial(task.index / layout.SHARDS)
    done: dict[int, ShardInfo] = {}
    missing: list[ShardPlan] = []
    for shard in plans:
        info = planned_shard(task.index, shard, task.configuration)
        if info is None:
            atomic.remove(task.index / layout.shard_file(shard.number))  # whatever it is, it is not this shard
            missing.append(shard)
        else:
            done[shard.number] = info
            progress(len(shard.ids))
    if missing:
        try:
            made = engine(task, missing, progress=progress)
        except NotReproducible:
            remove_shards(task.index, plans)
            raise
        atomic.remove_partial(task.index / layout.SHARDS)  # left by lost workers
        done |= {shard.number: info for shard, info in zip(missing, made, strict=True)}
    return [done[number] for number in sorted(done)]


def _refuse_listed(plans: Sequence[ShardPlan], listed: Container[str]) -> None:
    for file in (layout.shard_file(plan.number) for plan in plans):
        if file in listed:
            raise InvalidRequest(
                f"the unfinished job would write {file}, which the index has got meanwhile; delete {layout.PLAN} to "
                "give that job up, then give the command again"
            )


def remove_shards(index: Location, plans: Iterable[ShardPlan]) -> None:
    """Remove the files of planned shards, whoever wrote them."""
    for plan in plans:
        atomic.remove(index / layout.shard_file(plan.number))
