"""``drop-layers``: leave layers out of an index."""

import argparse

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("layers", nargs="+", metavar="LAYER", help="a layer of the index")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.jobs.layers import drop_layers

    manifest = drop_layers(options.index, options.layers, Bar().reporter.stage)
    print_summary(options.index, manifest)
    return 0
