"""``relabel``: classes and paths that have changed, without running the network."""

import argparse
from typing import Any

from indexer.commands.common import add_index_command
from indexer.commands.progress import Bar
from indexer.commands.source_options import add_column_options, columns_of
from indexer.jobs.relabel import relabel
from indexer.store.remote import parse_location


def register(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    command = add_index_command(
        commands,
        "relabel",
        _run,
        "take over classes that were corrected and files that were moved, without the network",
    )
    command.add_argument(
        "images", nargs="?", type=parse_location, metavar="LIST", help="default: where the images come from"
    )
    add_column_options(command)
    command.add_argument(
        "--quick", action="store_true",
        help="read only files of another name or size; misses files of equal size that changed their names",
    )  # fmt: skip


def _run(options: argparse.Namespace) -> int:
    bar = Bar("reading")
    try:
        done = relabel(options.index, options.images, columns_of(options), options.quick, bar.reporter)
    finally:
        bar.close()
    print(
        f"{options.index}: generation {done.manifest.generation}, {done.classes} images have another class, "
        f"{done.moved} another path"
    )
    return 0
