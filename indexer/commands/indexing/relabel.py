"""``relabel``: update changed classes and paths, without running the network."""

import argparse

from indexer.commands.options.categories import add_categories_option, categories_of
from indexer.commands.options.outputs import add_telling_options, print_unmatched, telling_of
from indexer.commands.options.shared import add_index
from indexer.commands.options.sources import add_column_options, columns_of
from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument(
        "images",
        nargs="?",
        type=parse_location,
        metavar="LIST",
        help="a list; default: the place that the index takes its images from",
    )
    add_column_options(command)
    add_categories_option(command, "those that the index has")
    add_telling_options(command)
    command.add_argument(
        "--quick", action="store_true",
        help="read only files whose path or size has changed; misses files of equal size that exchanged their names",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.jobs.upkeep.relabel import relabel

    categories, telling = categories_of(options), telling_of(options)
    with Bar("reading") as bar:
        done = relabel(
            options.index, options.images, columns_of(options), options.quick, bar.reporter, categories, telling
        )
    print(
        f"{options.index}: generation {done.manifest.generation}, {done.classes} images have another class, "
        f"{done.moved} another path"
    )
    print_unmatched(options.index)
    return 0
