"""The options of commands that need an encoder of images and texts."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.describe.encoder import Encoder


def add_encoder_options(command: argparse.ArgumentParser, what: str, *, required: bool) -> None:
    """Let a command have ``--encoder`` and ``--encoder-args``."""
    command.add_argument("--encoder", metavar="MODULE:FACTORY", required=required, help=what)
    add_encoder_arguments(command)


def add_encoder_arguments(command: argparse.ArgumentParser) -> None:
    """Let a command have ``--encoder-args``, if it has ``--encoder`` among others that exclude each other."""
    command.add_argument(
        "--encoder-args",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an argument of the factory (repeatable)",
    )


def encoder_of(options: argparse.Namespace) -> "Encoder":
    """The encoder that the options name.

    Raises
    ------
    InvalidRequest, UserCodeFailed
    """
    from indexer.describe.encoder import load_encoder
    from indexer.index.loading import Loading, parse_arguments

    return load_encoder(options.encoder, Loading(parse_arguments(options.encoder_args, "--encoder-args")).keywords)
