"""Options that say how a job works, and how far it trusts a network."""

import argparse

from indexer.defaults import BAD_IMAGES
from indexer.jobs.limits import Limits


def add_limit_options(command: argparse.ArgumentParser) -> None:
    """Options of a command that keeps activations."""
    command.add_argument("--passes", type=int, metavar="N", help="forward passes at once; default: a number that suits")
    command.add_argument(
        "--decoders", type=int, default=0, metavar="N",
        help="processes that decode images, to feed a GPU from many cores; default: threads of this process",
    )  # fmt: skip
    command.add_argument(
        "--max-bad-images", type=int, default=BAD_IMAGES, metavar="N",
        help="skip at most N images on which the network gives NaN or infinity (%(default)s)",
    )  # fmt: skip
    command.add_argument("--strict", action="store_true", help="end at the first image with NaN or infinity")


def limits_of(options: argparse.Namespace) -> Limits:
    """The limits that these options set."""
    bad_images = 0 if options.strict else options.max_bad_images
    return Limits(options.passes, bad_images, options.decoders)
