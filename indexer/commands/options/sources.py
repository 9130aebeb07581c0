"""Options that say where images come from, and which of them are used."""

import argparse

from indexer.defaults import MAX_PIXELS
from indexer.images.columns import Wanted


def add_column_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that reads a list."""
    default = "default: one with a usual name"
    command.add_argument("--path-column", metavar="NAME", help=f"the column of a list that holds the paths; {default}")
    command.add_argument("--class-column", metavar="NAME", help=f"the column that holds the classes; {default}")


def add_source_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that makes an index."""
    add_column_options(command)
    command.add_argument(
        "--follow-links", action="store_true", help="follow symbolic links, even out of the image root"
    )
    command.add_argument(
        "--max-pixels", type=int, default=MAX_PIXELS, metavar="N", help="skip images with more pixels (%(default)s)"
    )


def columns_of(options: argparse.Namespace) -> Wanted:
    """The columns that were named."""
    return Wanted(options.path_column, options.class_column)
