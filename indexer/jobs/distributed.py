"""The Dask engine: shards made by the workers of a ``dask.distributed`` cluster, by the same function as here.

1. ``engine = DaskEngine("tcp://scheduler:8786")``; hand it to `indexer.jobs.build.build` or `add`.
2. The driver hands out one shard at a time to each worker thread and lists what comes back; it alone derives and
   publishes. The index, the images and the weights must lie where the driver's names lead the workers to them.

A worker keeps its network between shards, one shard at a time passes through it, and it refuses work of a driver whose
code, packages, weights or configuration differ: activations would too. A shard whose worker is lost is made again by
another, as is one whose run fails for a reason that may pass; when the scheduler is lost, the driver waits for it to
come back and hands out what is missing. None of this can change a shard: it is written under a name of its own run,
whole, and the first to be there stays.
"""

import functools
import hashlib
import importlib.metadata
import itertools
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import indexer
from indexer.errors import ConfigurationMismatch, EngineUnavailable, NotInstalled, UnitscopeError
from indexer.jobs.load import configuration_of, network_of
from indexer.jobs.plan import ShardPlan
from indexer.jobs.run import Progress, ShardTask, existing_shard, index_shards
from indexer.network.forward import Network
from indexer.store.manifest import Configuration, ShardInfo

log = logging.getLogger(__name__)

ATTEMPTS = 4
"""How often a shard is tried before the job gives up; deaths of workers count too, several to an attempt."""

_WAITING = 3
"""Shards handed out for each thread of the cluster, so that none waits for the driver."""

_CONNECT_SECONDS = 5

_DECIDING = ("torch", "torchvision", "numpy", "pillow", "h5py", "zstandard")
"""Packages whose versions may move a bit of an activation, or of a file."""


@functools.cache
def versions() -> dict[str, str]:
    """What a worker must have in common with its driver: our code, by a digest of it, and the packages beneath."""
    root = Path(indexer.__file__).parent
    code = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        code.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return {"unitscope": code.hexdigest()[:16]} | {name: importlib.metadata.version(name) for name in _DECIDING}


def check_versions(driver: dict[str, str]) -> None:
    """Refuse a driver of other versions than those here.

    Raises
    ------
    ConfigurationMismatch
    """
    here = versions()
    differing = [f"{name} {here.get(name)}, not {value}" for name, value in driver.items() if here.get(name) != value]
    if differing:
        raise ConfigurationMismatch(
            f"the worker on {socket.gethostname()} has {', '.join(differing)} as its driver has; install the same there"
        )


_one_at_a_time = threading.Lock()
"""One shard takes all cores that its process may have: a second one beside it would only take memory."""


@functools.lru_cache(maxsize=1)
def _kept_network(configuration: Configuration) -> Network:
    network = network_of(configuration)
    here = configuration_of(network, configuration.keep_images)
    if here.digest != configuration.digest:
        raise ConfigurationMismatch(
            f"the network of the worker on {socket.gethostname()} is not the driver's: "
            + "; ".join(configuration.differences(here))
        )
    return network


def index_shard(task: ShardTask, plan: ShardPlan, driver: dict[str, str]) -> ShardInfo:
    """What a worker runs: one shard, unless it is there already.

    Raises
    ------
    ConfigurationMismatch
        The driver's versions, weights or configuration are not those of this worker.
    """
    check_versions(driver)
    there = existing_shard(task.index, plan, task.configuration)
    if there is not None:
        return there
    with _one_at_a_time:
        return index_shards(task, [plan], _kept_network(task.configuration))[0]


class DaskEngine:
    """Makes shards on a cluster; see the module's description.

    Parameters
    ----------
    scheduler : str
        Its address, as ``tcp://host:8786``.
    patience : float
        Seconds to wait for a scheduler, or for the first worker, that is not there.
    """

    def __init__(self, scheduler: str, patience: float = 300.0) -> None:
        self._scheduler = scheduler
        self._patience = patience
        self._distributed = _import_distributed()

    def __call__(self, task: ShardTask, plans: list[ShardPlan], *, progress: Progress) -> list[ShardInfo]:
        """Make the shards of these plans, in any order, and list them in theirs.

        Raises
        ------
        EngineUnavailable
            There is no scheduler or no worker, or a shard failed too often.
        ConfigurationMismatch
            A worker cannot make the driver's shards.
        """
        done: dict[int, ShardInfo] = {}
        failures: Counter[int] = Counter()
        while len(done) < len(plans):
            with self._client() as client:
                missing = [plan for plan in plans if plan.number not in done]
                try:
                    for plan, info in self._results(client, task, missing, failures):
                        done[plan.number] = info
                        progress(len(plan.ids))
                except _scheduler_lost(self._distributed) as error:
                    log.warning("the scheduler %s is lost (%s); waiting for it", self._scheduler, type(error).__name__)
        return [done[plan.number] for plan in plans]

    def _client(self) -> Any:
        """A client of the scheduler, once it is there and has a worker, and all workers are as they must be."""
        last: Exception | None = None
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
        self, client: Any, task: ShardTask, plans: list[ShardPlan], failures: Counter[int]
    ) -> Iterator[tuple[ShardPlan, ShardInfo]]:
        waiting = iter(plans)
        handed: dict[str, ShardPlan] = {}

        def hand_out(more: Iterator[ShardPlan]) -> list[Any]:
            futures = []
            for plan in more:
                # A key of its own for each attempt: Dask remembers what a key gave.
                key = f"shard-{plan.number:06d}-{task.configuration.digest[:8]}-{time.monotonic_ns()}"
                futures.append(client.submit(index_shard, task, plan, versions(), key=key, pure=False))
                handed[key] = plan
            return futures

        room = _WAITING * max(1, sum(client.nthreads().values()))
        results = self._distributed.as_completed(hand_out(itertools.islice(waiting, room)), loop=client.loop)
        for future in results:
            plan = handed.pop(future.key)
            if future.status == "finished":
                yield plan, future.result()
                results.update(hand_out(itertools.islice(waiting, 1)))
            elif self._may_try_again(future, plan, failures):
                results.update(hand_out(iter([plan])))

    def _may_try_again(self, future: Any, plan: ShardPlan, failures: Counter[int]) -> bool:
        if future.cancelled() or future.status == "lost":
            raise self._distributed.CancelledError(future.key)
        error = future.exception()
        if isinstance(error, UnitscopeError):
            raise error  # the same everywhere: the driver says it, as the local engine would
        failures[plan.number] += 1
        log.warning("shard %d failed (%s), attempt %d of %d", plan.number, error, failures[plan.number], ATTEMPTS)
        if failures[plan.number] >= ATTEMPTS:
            raise EngineUnavailable(
                f"shard {plan.number} failed {ATTEMPTS} times, at last with {type(error).__name__}: {error}"
            ) from error
        return True


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
