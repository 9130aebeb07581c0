"""Options of the commands that explain answers with the network of an index, and how they print what they found."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from indexer.commands.options.shared import add_images_option, add_network_options


def add_explaining_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format", choices=["text", "json"], default="text", help="%(default)s by default; json shows all"
    )
    add_images_option(command)
    add_network_options(command)


def print_found(found: dict[str, Any], options: argparse.Namespace, print_text: Callable[[], None]) -> None:
    """Print what was found as ``--format`` says."""
    if options.format == "json":
        print(json.dumps(found, indent=1))
    else:
        print_text()
