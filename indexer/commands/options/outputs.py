"""The options that say which layer holds the network's output, what its values are, and what classes stand for."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.defaults import OUTPUT_IF_CHEAP, OUTPUT_KINDS

if TYPE_CHECKING:
    from indexer.index.told_outputs import Telling
    from indexer.store.storage import Location

_AUTO = "auto"
_SHOWN = 10


def add_output_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--output", metavar="LAYER", default=OUTPUT_IF_CHEAP,
        help="the layer whose output the network returns, indexed too; auto: if that costs under 5 %% more; none: only "
        "if it is one of --layers (%(default)s)",
    )  # fmt: skip


def add_telling_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--output-kind", choices=(_AUTO, *OUTPUT_KINDS),
        help="what the outputs are; auto: their values tell logits, probabilities and log-probabilities; of several "
        "labels at once (multi-label), say it",
    )  # fmt: skip
    command.add_argument(
        "--class-map", type=Path, metavar="FILE",
        help="which category each class stands for: a list with the columns class and category, or a JSON object",
    )  # fmt: skip
    command.add_argument(
        "--by-order", action=argparse.BooleanOptionalAction, default=None,
        help="classes, sorted by name, stand for the outputs in their order",
    )  # fmt: skip


def telling_of(options: argparse.Namespace) -> "Telling":
    """What was said of the outputs.

    Raises
    ------
    InvalidRequest
        The class map cannot be read.
    """
    from indexer.index.told_outputs import Telling
    from indexer.inputs.class_map import read_class_map

    classes = None if options.class_map is None else read_class_map(options.class_map)
    return Telling(options.output_kind, classes, options.by_order)


def print_unmatched(index: "Location") -> None:
    """Print which classes of an index stand for no output, if there is an output that they could stand for."""
    from indexer.query.index import open
    from indexer.query.learning.answering.outputs import named_outputs, output_layer, unmatched_classes

    with open(index) as opened:
        if output_layer(opened) is None or not opened.classes:
            return
        outputs = named_outputs(opened)
        left = unmatched_classes(opened, outputs)
        if left:
            shown = ", ".join(left[:_SHOWN]) + (", …" if len(left) > _SHOWN else "")
            print(f"  {len(left)} of {len(opened.classes)} classes stand for no output of {outputs.layer}: {shown}")
