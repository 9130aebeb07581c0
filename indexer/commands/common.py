"""What commands have in common: how they are made, and options that several of them take."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from indexer.store.remote import parse_location

if TYPE_CHECKING:
    from indexer.pictures.lost import LostOriginals

Run = Callable[[argparse.Namespace], int]


def add_command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command to a parser's subparsers."""
    command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
    command.set_defaults(run=run)
    return command


def add_index_command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a command about one index."""
    command = add_command(commands, name, run, text)
    command.add_argument("index", type=parse_location, metavar="INDEX")
    return command


def add_images_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--images", type=parse_location, help="the image root, if it is not where it was")


def say_lost(lost: "LostOriginals", options: argparse.Namespace) -> None:
    """Say how many originals a placeholder stands for, where there are any."""
    if summary := lost.summary(str(options.index)):
        print(summary)


def add_network_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that runs the network of an index."""
    command.add_argument("--weights", help="where the weights are now, if not where they were")
    command.add_argument("--model", metavar="FILE", help="the program's file, if the index was made with one")
    add_device_option(command)


def add_device_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU where there is one")
