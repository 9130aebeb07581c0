"""``add-layers``: keep further layers of the images that are indexed."""

import argparse

from indexer.commands.options.engine import add_engine_options, engine_of
from indexer.commands.options.limits import add_limit_options, limits_of
from indexer.commands.options.model import add_layout_option
from indexer.commands.options.shared import add_index, add_network_options
from indexer.receptive_field.layout import parse_layouts


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("layers", nargs="+", metavar="LAYER", help="a module's name, as in build --layers")
    add_layout_option(command)
    add_network_options(command)
    add_limit_options(command)
    add_engine_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.layers import add_layers

    with Bar() as bar:
        manifest = add_layers(
            options.index, options.layers, options.weights, options.device, bar.reporter, engine_of(options),
            limits_of(options), options.model, parse_layouts(options.layout),
        )  # fmt: skip
    print_summary(options.index, manifest)
    return 0
