"""``trend``: show how indexes of a network change over its training."""

import argparse
import json
from contextlib import ExitStack
from pathlib import Path

from indexer.store.remote import parse_location


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "indexes",
        type=parse_location,
        nargs="+",
        metavar="INDEX",
        help="indexes in the order of training, at least two",
    )
    command.add_argument("--layer", help="only this layer; default: all layers that every index has")
    command.add_argument("--out", type=Path, help="draw a chart into this SVG file; default: JSON on standard output")


def run(options: argparse.Namespace) -> int:
    from indexer.pictures.chart import trend_chart
    from indexer.query.index import open
    from indexer.query.learning.trend import trend

    with ExitStack() as stack:
        changes = trend([stack.enter_context(open(path)) for path in options.indexes], options.layer)
    if options.out is None:
        print(json.dumps(changes, indent=1))
    else:
        options.out.write_text(trend_chart(changes), encoding="utf-8")
        print(options.out)
    return 0
