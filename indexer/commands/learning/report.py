"""``report``: say what the neurons of an index have learned."""

import argparse
import json

from indexer.commands.options.shared import add_index
from indexer.defaults import SELECTIVE_AUC
from indexer.query.learning.report_text import WRITERS


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--format", choices=["json", *WRITERS], default="markdown", help="default: %(default)s")
    command.add_argument(
        "--auc",
        type=float,
        default=SELECTIVE_AUC,
        help="the lowest AUC with which a neuron covers a class (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open
    from indexer.query.learning.report import report

    with open(options.index) as index:
        content = report(index, options.auc)
    print(json.dumps(content, indent=1) if options.format == "json" else WRITERS[options.format][1](content), end="")
    return 0
