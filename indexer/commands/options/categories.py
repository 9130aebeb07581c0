"""The option that names the network's outputs."""

import argparse
from pathlib import Path


def add_categories_option(command: argparse.ArgumentParser, default: str) -> None:
    command.add_argument(
        "--categories", type=Path, metavar="FILE",
        help=f"the names of the network's outputs, one a line, in their order; default: {default}",
    )  # fmt: skip


def categories_of(options: argparse.Namespace) -> list[str] | None:
    """The names in the file that was given.

    Raises
    ------
    InvalidRequest
    """
    from indexer.inputs.categories import read_categories

    return None if options.categories is None else read_categories(options.categories)
