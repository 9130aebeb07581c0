"""A plan -> its shards: decoding, forward passes and writing overlap.

A pool decodes ahead; another runs the network on several batches at once; one thread writes behind them, in order, with
a pool that counts and compresses for it. Each queue between them is bounded, so memory does not depend on the number of
images.
"""

import itertools
import logging
import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from indexer.defaults import MAX_PIXELS
from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.manifest import Configuration, ShardInfo
from indexer.jobs.decode import Decoded, Skipped, decode_ahead
from indexer.jobs.forwarding import BadImages, Checks, Forwarded, Tables, batches, forward, tables_of
from indexer.jobs.limits import DEFAULT_LIMITS, Limits
from indexer.jobs.plan import Plan, ShardPlan
from indexer.network.forward import Network
from indexer.network.passes.threads import forward_pool, passes_at_once
from indexer.shards.reader import Shard
from indexer.shards.writer import ShardWriter
from indexer.store import atomic
from indexer.store.remote import parse_location
from indexer.store.storage import Location
from indexer.system.cores import cores
from indexer.system.malloc import give_back_freed_memory, share_heaps

log = logging.getLogger(__name__)

_BATCHES_AHEAD = 2
_WRITES_WAITING = 2
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
    with ThreadPoolExecutor(cores()) as decoders:
        images = ((id, file) for plan in plans for id, file in zip(plan.ids, plan.files, strict=True))
        decoded = decode_ahead(
            task.image_root, images, task.configuration.preprocessing, task.configuration.keep_images, decoders,
            _BATCHES_AHEAD * task.batch_size * passes_at_once(network.device), task.max_pixels,
        )  # fmt: skip
        return write_shards(task, plans, network, decoded, progress)


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
        ThreadPoolExecutor(1) as writer,
        ThreadPoolExecutor(1) as publisher,
    ):
        behind = OrderedWriter(writer, _WRITES_WAITING + at_once)
        beside = 0 if network.device.type == "cpu" else 1  # shards ending while one is written: memory, for idle cores
        finished: list[Future[ShardInfo]] = []
        checks = Checks(network, forwards, task.batch_size)
        bad = BadImages(task.limits.bad_images)
        for plan in plans:
            if len(finished) > beside:
                behind.submit(finished[-1 - beside].result)
            tables = tables_of(network)
            shard = _OpenShard(task, plan, workers, tables)
            try:
                for batch in batches(itertools.islice(decoded, len(plan.ids)), task.batch_size):
                    if (check := checks.next(batch)) is not None:
                        behind.submit(shard.confirm, check)
                    behind.submit(shard.add, forwards.submit(forward, network, batch, tables, bad))
                    progress(len(batch.usable) + len(batch.skipped))
                finished.append(publisher.submit(shard.publish, behind.submit(shard.check)))
            except BaseException:
                writer.submit(shard.abandon, *sys.exc_info())
                raise
        return [future.result() for future in finished]


class OrderedWriter:
    """Work done in order behind the main thread; too far behind, and the main thread waits."""

    def __init__(self, executor: ThreadPoolExecutor, most: int) -> None:
        self._executor, self._most = executor, most
        self._waiting: deque[Future] = deque()

    def submit(self, work: Callable, *arguments: object) -> Future:
        while len(self._waiting) >= self._most or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._executor.submit(work, *arguments))
        return self._waiting[-1]


class _OpenShard:
    def __init__(self, task: ShardTask, plan: ShardPlan, workers: ThreadPoolExecutor, tables: Tables) -> None:
        self._path = task.index / layout.shard_file(plan.number)
        self._task, self._plan = task, plan
        self._stack = ExitStack()
        attributes = {
            "configuration": task.configuration.digest,
            "number": plan.number,
            "first_id": plan.ids[0],
            "end_id": plan.ids[-1] + 1,
        }
        layers = {info.name: (info.channels, info.height, info.width) for info in task.configuration.layers}
        self._partial = self._stack.enter_context(atomic.creating(self._path))
        counted = {layer: table.histogram for layer, table in tables.items()}
        self._writer = self._stack.enter_context(
            ShardWriter(self._partial, layers, attributes, task.configuration.keep_images, workers, counted)
        )
        self._error: BaseException | None = None

    def add(self, forwarded: "Future[Forwarded]") -> None:
        try:
            passed = forwarded.result()
            self._writer.add(passed.images, passed.layers)
        except BaseException as error:
            self._error = error
            raise
        for result in passed.skipped:
            self._writer.skip(result.path, result.reason)

    def confirm(self, compared: "Future[None]") -> None:
        """Take note of passes that were compared; where they differ, the shard is not published."""
        try:
            compared.result()
        except BaseException as error:
            self._error = error
            raise

    def check(self) -> None:
        """Raise what went wrong, if anything did; nobody may have seen it yet."""
        if self._error is not None:
            raise self._error

    def publish(self, written: "Future[None]") -> ShardInfo:
        """End the file and give it its name."""
        try:
            written.result()
            rows, skipped = self._writer.close()
            give_back_freed_memory()  # of its tables and rows, among blocks that are still used
            file, digest = layout.shard_file(self._plan.number), atomic.file_sha256(self._partial)
        except BaseException as error:
            self.abandon(type(error), error, None)
            raise
        try:
            self._stack.close()
        except FileExistsError as error:
            log.info("%s was written by another run meanwhile", file)
            found = existing_shard(self._task.index, self._plan, self._task.configuration)
            if found is None:
                raise DamagedFile(file, "was put there by another job; run this one again") from error
            return found
        return ShardInfo(file, rows, digest, self._plan.ids[0], self._plan.ids[-1] + 1, skipped)

    def abandon(self, *error: object) -> None:
        try:
            self._stack.__exit__(*error)
        except BaseException:  # the stack hands the error on; the main thread is raising it already
            return


def existing_shard(index: Location, plan: ShardPlan, configuration: Configuration) -> ShardInfo | None:
    """The shard of a plan, if a job has written it."""
    file = layout.shard_file(plan.number)
    first, end = plan.ids[0], plan.ids[-1] + 1
    try:
        with Shard(index / file, file) as shard:
            expected = {"configuration": configuration.digest, "first_id": first, "end_id": end}
            if any(shard.attributes.get(name) != value for name, value in expected.items()):
                return None
            return ShardInfo(file, shard.rows, atomic.file_sha256(index / file), first, end, len(shard.skipped()))
    except DamagedFile:
        return None


class Engine(Protocol):
    """Has shards made by `index_shards`, here or elsewhere."""

    def __call__(self, task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
        """The shards of these plans, in their order; none of them is there yet."""


def run_plan(
    index: Location, plan: Plan, engine: Engine, progress: Progress, limits: Limits = DEFAULT_LIMITS
) -> list[ShardInfo]:
    """Write the shards of a plan that are not there yet; return all of them, in order."""
    atomic.remove_partial(index / layout.SHARDS)
    done: dict[int, ShardInfo] = {}
    missing: list[ShardPlan] = []
    for shard in plan.shards():
        info = existing_shard(index, shard, plan.configuration)
        if info is None:
            atomic.remove(index / layout.shard_file(shard.number))  # whatever it is, it is not this shard
            missing.append(shard)
        else:
            done[shard.number] = info
            progress(len(shard.ids))
    max_pixels = plan.intake.max_pixels if plan.intake else MAX_PIXELS
    task = ShardTask(
        index.resolve(), parse_location(plan.image_root), plan.configuration, plan.batch_size, limits, max_pixels
    )
    if missing:
        made = engine(task, missing, progress=progress)
        atomic.remove_partial(index / layout.SHARDS)  # what lost workers left
        done |= {shard.number: info for shard, info in zip(missing, made, strict=True)}
    return [done[number] for number in sorted(done)]
