"""``report``: what the neurons of an index have learned."""

import argparse
import json

from indexer.commands.common import add_index
from indexer.defaults import SELECTIVE_AUC
from indexer.query.learning.report_text import WRITERS


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--format", choices=["json", *WRITERS], default="markdown", help="%(default)s by default")
    command.add_argument("--auc", type=float, default=SELECTIVE_AUC, help="from here on a neuron covers a class")


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open
    from indexer.query.learning.report import report

    with open(options.index) as index:
        found = report(index, options.auc)
    print(json.dumps(found, indent=1) if options.format == "json" else WRITERS[options.format][1](found), end="")
    return 0
