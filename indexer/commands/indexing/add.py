"""``add``: index images that an index does not hold yet."""

import argparse

from indexer.commands.options.engine import add_engine_options, engine_of
from indexer.commands.options.limits import add_limit_options, limits_of
from indexer.commands.options.shared import add_index, add_network_options
from indexer.commands.options.sources import add_column_options, columns_of
from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument(
        "images", nargs="?", type=parse_location, help="a list; default: the place that the index takes its images from"
    )
    add_column_options(command)
    command.add_argument(
        "--again", metavar="PATH", action="append", default=[],
        help="a removed image, or a folder of removed images, to add again (repeatable); others stay out",
    )  # fmt: skip
    add_network_options(command)
    add_limit_options(command)
    add_engine_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.build import add

    with Bar() as bar:
        manifest = add(
            options.index, options.images, options.weights, options.device, bar.reporter, engine_of(options),
            options.again, limits_of(options), options.model, columns_of(options),
        )  # fmt: skip
    print_summary(options.index, manifest)
    return 0
