"""The Dask engine: shards, and parts of derived files, made by the workers of a ``dask.distributed`` cluster.

1. ``engine = DaskEngine("tcp://scheduler:8786")``; hand it to `indexer.jobs.build.build` or `add`.
2. The driver hands out one shard at a time to each worker thread and lists what comes back. Then the workers do the
   parts of the derivation (it is a `indexer.derive.executor.Executor`); the driver puts them together and publishes.
   The index, the images and the weights must lie where the driver's names lead the workers to them.

A worker (`indexer.jobs.cluster.dask_worker`) refuses work of a driver whose code, packages, weights or configuration
differ: activations would too. Work whose worker is lost is done again by another, as is work that fails for a reason
that may pass; when the scheduler or the last worker is lost, the driver waits for it to come back and hands out what is
missing. None of this can change a result: all work is the same functions that one process calls, and a shard is written
under a name of its own run, whole, and the first to be there stays.
"""

import contextlib
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from indexer.errors import (
    ConfigurationMismatch,
    EngineUnavailable,
    InvalidRequest,
    NotInstalled,
    NotReproducible,
    UnitscopeError,
)
from indexer.index.shard_info import ShardInfo
from indexer.jobs.cluster import pickled_call
from indexer.jobs.cluster.dask_worker import check_versions, checked, index_shard, versions
from indexer.jobs.pipeline.write_shards import Progress, ShardTask
from indexer.jobs.plan import ShardPlan
from indexer.store.storage import Location, storage_at

log = logging.getLogger(__name__)

ATTEMPTS = 4
"""How often a piece of work is tried before the job gives up; deaths of workers count too, several to an attempt."""

_WAITING = 3
"""Pieces handed out for each thread of the cluster, so that none waits for the driver."""

_CONNECT_SECONDS = 5


class DaskEngine:
    """Makes shards, and does parts of a derivation, on a cluster; see the module's description.

    Parameters
    ----------
    scheduler : str
        Its address, as ``tcp://host:8786``.
    patience : float
        Seconds to wait for a scheduler, or for any worker, that is not there.
    """

    def __init__(self, scheduler: str, patience: float = 300.0) -> None:
        self._scheduler = scheduler
        self._patience = patience
        self._distributed = _import_distributed()

    def __call__(self, task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
        """Make the shards of these plans, in any order, and list them in theirs.

        Raises
        ------
        EngineUnavailable, ConfigurationMismatch
        InvalidRequest
            Decoders are asked for, which workers do not start.
        """
        if task.limits.decoders:
            raise InvalidRequest("--decoders is for one machine; with --engine dask, start more workers instead")
        done: dict[int, ShardInfo] = {}
        for number, info in self.run(index_shard, [(task, plan) for plan in plans]):
            done[number] = info
            progress(len(plans[number].ids))
        return [done[number] for number in range(len(plans))]

    def run(self, function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> Iterator[tuple[int, Any]]:
        """What ``function`` gives for each task's arguments, with the task's number; in any order.

        Raises
        ------
        EngineUnavailable
            There is no scheduler or no worker, or a task failed too often.
        ConfigurationMismatch
            A worker cannot do the driver's work.
        """
        missing = dict(enumerate(tasks))
        failures: Counter[int] = Counter()
        while missing:
            with self._client() as client:
                try:
                    for number, result in self._results(client, function, missing, failures):
                        del missing[number]
                        yield number, result
                except _scheduler_lost(self._distributed) as error:
                    log.warning("the cluster at %s is lost (%s); waiting for it", self._scheduler, type(error).__name__)

    def sharing(self, file: Path, folder: Location) -> contextlib.AbstractContextManager[Location]:
        """Where workers find a file of the driver: in a bucket a copy, else where it is."""
        return storage_at(folder).sharing(file)

    def _client(self) -> Any:
        """A client of the scheduler, once it is there and has a worker, and all workers are as they must be."""
        last: BaseException | None = None
        end = time.monotonic() + self._patience
        while time.monotonic() < end:
            try:
                client = self._distributed.Client(self._scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
            except OSError as error:
                last = error
                time.sleep(0.5)
                continue
            try:
                client.wait_for_workers(1, timeout=max(1.0, end - time.monotonic()))
                _check_workers(client)
                return client
            except _scheduler_lost(self._distributed) as error:
                last = error
                client.close(timeout=1)
            except BaseException:
                client.close()
                raise
        raise EngineUnavailable(
            f"no Dask scheduler with a worker answers at {self._scheduler} ({last}); start `dask scheduler` and "
            "`dask worker`, then give the same command again"
        )

    def _results(
        self, client: Any, function: Callable[..., Any], tasks: dict[int, tuple[Any, ...]], failures: Counter[int]
    ) -> Iterator[tuple[int, Any]]:
        """What ``function`` gives for each task, with its number, as it comes back; failed tasks are tried again."""
        queue = _TaskQueue(client, function, tasks)
        room = _WAITING * max(1, sum(client.nthreads().values()))
        futures = self._distributed.as_completed(queue.hand_out(room), loop=client.loop)
        with self._watching_workers(client, futures):
            for future in futures:
                number = queue.take_back(future)
                if future.status == "finished":
                    yield number, future.result()
                else:
                    try:
                        self._refuse_another_try(future, failures, f"{function.__name__} {number}", number)
                    except NotReproducible:
                        self._wait_for_all(futures)
                        raise
                    queue.put_first(number)
                futures.update(queue.hand_out(1))

    def _wait_for_all(self, futures: Any) -> None:
        """Wait for all that is handed out: what a worker writes after the driver's clearing up would be kept."""
        with contextlib.suppress(*_scheduler_lost(self._distributed)):
            for _ in futures:
                pass

    @contextlib.contextmanager
    def _watching_workers(self, client: Any, results: Any) -> Iterator[None]:
        """Take back what was handed out once there has been no worker for as long as we have patience."""
        ended = threading.Event()

        def watch() -> None:
            last = time.monotonic()
            while not ended.wait(min(5.0, self._patience / 4)):
                with contextlib.suppress(*_scheduler_lost(self._distributed)):  # which the results tell, too
                    if client.nthreads():
                        last = time.monotonic()
                    elif time.monotonic() - last > self._patience:
                        log.warning("no worker is left at the scheduler %s", self._scheduler)
                        client.cancel(list(results.futures), force=True)
                        return

        watcher = threading.Thread(target=watch, name="workers watched", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _refuse_another_try(self, future: Any, failures: Counter[int], name: str, number: int) -> None:
        """Raise the reason why a task that failed is not tried again, if there is one."""
        if future.cancelled() or future.status == "lost":
            raise self._distributed.CancelledError(future.key)
        error = future.exception()
        if isinstance(error, UnitscopeError):
            raise error  # the same everywhere: the driver says it, as the local engine would
        failures[number] += 1
        log.warning("%s failed (%s), attempt %d of %d", name, error, failures[number], ATTEMPTS)
        if failures[number] >= ATTEMPTS:
            raise EngineUnavailable(
                f"{name} failed {ATTEMPTS} times, at last with {type(error).__name__}: {error}"
            ) from error


class _TaskQueue:
    """Tasks that wait here until they are handed out to a cluster; remembers which future is of which task."""

    def __init__(self, client: Any, function: Callable[..., Any], tasks: dict[int, tuple[Any, ...]]) -> None:
        self._client, self._function, self._tasks = client, function, tasks
        self._waiting = deque(tasks)
        self._handed_out: dict[str, int] = {}  # numbers of tasks, by the keys of their futures
        self._versions = versions()

    def hand_out(self, most: int) -> list[Any]:
        """Give the cluster the first tasks that wait, at most so many; their futures."""
        return [self._submit(self._waiting.popleft()) for _ in range(min(most, len(self._waiting)))]

    def take_back(self, future: Any) -> int:
        """The number of the task whose future is done."""
        return self._handed_out.pop(future.key)

    def put_first(self, number: int) -> None:
        """Let a task wait again, before the others."""
        self._waiting.appendleft(number)

    def _submit(self, number: int) -> Any:
        # A key of its own for each attempt: Dask remembers what a key gave.
        key = f"{self._function.__name__}-{number:06d}-{time.monotonic_ns()}"
        sealed = pickled_call.seal(checked, self._versions, self._function, *self._tasks[number])
        self._handed_out[key] = number
        return self._client.submit(pickled_call.call, sealed, key=key, pure=False)


def _check_workers(client: Any) -> None:
    answers = client.run(check_versions, versions(), on_error="return")
    for worker, error in answers.items():
        if isinstance(error, UnitscopeError):
            raise ConfigurationMismatch(f"worker {worker}: {error}") from error
        if isinstance(error, Exception) and not isinstance(error, OSError):
            raise EngineUnavailable(
                f"worker {worker} cannot run this program ({type(error).__name__}: {error}); install it there"
            ) from error


def _scheduler_lost(distributed: ModuleType) -> tuple[type[BaseException], ...]:
    return (OSError, TimeoutError, distributed.CancelledError, distributed.client.FutureCancelledError)


def _import_distributed() -> ModuleType:
    try:
        import distributed
    except ImportError as error:
        raise NotInstalled("the Dask engine needs the extra: pip install 'unitscope[distributed]'") from error
    return distributed
