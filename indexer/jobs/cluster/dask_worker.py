"""The work of a cluster's worker: it checks that it has the same versions as its driver, then runs the driver's calls.

A worker keeps its network between shards, and runs one call at a time.
"""

import functools
import hashlib
import importlib.metadata
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss

import indexer
from indexer.errors import ConfigurationMismatch
from indexer.index.configuration import Configuration
from indexer.index.shard_info import ShardInfo
from indexer.jobs.pipeline.write_shards import ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.jobs.written import planned_shard
from indexer.network.forward import Network
from indexer.network.restore import configuration_of, network_of
from indexer.system.malloc import keep_freed_memory

_DECIDING = ("torch", "torchvision", "numpy", "pillow", "h5py", "zstandard", "numba")
"""Packages whose versions may change a bit of an activation, or of a file."""


@functools.cache
def versions() -> dict[str, str]:
    """The versions that a worker must share with its driver: a digest of unitscope's code, and those of packages."""
    root = Path(indexer.__file__).parent
    code = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        code.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    packages = {name: importlib.metadata.version(name) for name in _DECIDING} | {"faiss": faiss.__version__}
    return {"unitscope": code.hexdigest()[:16]} | packages


def check_versions(driver: dict[str, str]) -> None:
    """Refuse a driver whose versions differ from this worker's.

    Raises
    ------
    ConfigurationMismatch
    """
    own = versions()
    differing = [f"{name} {own.get(name)}, not {value}" for name, value in driver.items() if own.get(name) != value]
    if differing:
        raise ConfigurationMismatch(
            f"the worker on {socket.gethostname()} has {', '.join(differing)} as its driver has; install the same there"
        )


_one_at_a_time = threading.Lock()
"""A call uses all cores of its process, so a second one beside it would only take memory."""


def checked(driver: dict[str, str], function: Callable[..., Any], *arguments: Any) -> Any:
    """Call ``function`` for a driver that has these versions.

    Raises
    ------
    ConfigurationMismatch
        The driver's versions are not those of this worker.
    """
    check_versions(driver)
    with _one_at_a_time:
        return function(*arguments)


@functools.lru_cache(maxsize=1)
def kept_network(configuration: Configuration) -> Network:
    """The network of an index, loaded once for all shards that follow.

    Raises
    ------
    ConfigurationMismatch
        The network that this worker loads is not the driver's.
    """
    keep_freed_memory()
    network = network_of(configuration, model=configuration.model)  # by the name that the driver was given
    dictionaries = {layer.name: layer.dictionary for layer in configuration.layers if layer.dictionary}
    own = configuration_of(network, configuration.keep_images, dictionaries).adopting(configuration)
    if own.digest != configuration.digest:
        raise ConfigurationMismatch(
            f"the network of the worker on {socket.gethostname()} is not the driver's: "
            + "; ".join(configuration.differences(own))
        )
    return network


def index_shard(task: ShardTask, plan: ShardPlan) -> ShardInfo:
    """Make one shard, unless it exists already.

    Raises
    ------
    ConfigurationMismatch
        The driver's weights or configuration are not those of this worker.
    """
    existing = planned_shard(task.index, plan, task.configuration)
    return existing or index_shards(task, [plan], kept_network(task.configuration))[0]
