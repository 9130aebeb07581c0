"""Options that choose what makes the shards."""

import argparse
from typing import TYPE_CHECKING

from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from indexer.jobs.pipeline.write_shards import Engine


def add_engine_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that may leave its work to a cluster."""
    command.add_argument(
        "--engine", choices=("local", "dask"), default="local", help="what makes the shards: this machine, or a cluster"
    )
    command.add_argument(
        "--scheduler", metavar="ADDRESS", help="the scheduler of the Dask cluster, such as tcp://host:8786"
    )


def engine_of(options: argparse.Namespace) -> "Engine | None":
    """The engine that was asked for; None for this machine.

    Raises
    ------
    InvalidRequest
    """
    if (options.engine == "dask") != (options.scheduler is not None):
        raise InvalidRequest("--engine dask and --scheduler ADDRESS go together: give both, or neither")
    if not options.scheduler:
        return None
    from indexer.jobs.distributed import DaskEngine

    return DaskEngine(options.scheduler)
