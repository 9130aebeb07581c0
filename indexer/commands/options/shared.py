"""Options that several commands share."""

import argparse

from indexer.defaults import FIELDS
from indexer.store.remote import parse_location


def add_index(command: argparse.ArgumentParser) -> None:
    """The index that a command works on."""
    command.add_argument("index", type=parse_location, metavar="INDEX")


def add_layer_options(command: argparse.ArgumentParser) -> None:
    """The index, the layer and the cell that a picture shows."""
    add_index(command)
    add_images_option(command)
    command.add_argument("--layer", required=True)
    command.add_argument("--y", type=int, help="row of a cell; default: where the neuron is most active")
    command.add_argument("--x", type=int, help="column of the cell")


def add_field_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--field", choices=FIELDS, default=FIELDS[0],
        help="show receptive fields, or the part of them that matters, which effective-field measures (%(default)s)",
    )  # fmt: skip


def add_images_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--images", type=parse_location, help="where the image root is now, if it was moved")


def add_network_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that runs the network of an index."""
    command.add_argument("--weights", help="where the weights are now, if they were moved")
    command.add_argument("--model", metavar="FILE", help="the program file, if the index was made with one")
    add_device_option(command)


def add_device_option(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", help="cpu, cuda, cuda:1, …; default: a GPU if there is one")
