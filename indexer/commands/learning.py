"""``report``, ``compare`` and ``trend``: what a network has learned, from one index or several."""

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import indexer
from indexer.commands.common import add_command, add_index_command
from indexer.derive.selectivity import SELECTIVE_AUC
from indexer.pictures.chart import trend_chart
from indexer.query.compare import Comparison, compare
from indexer.query.report import report
from indexer.query.report_text import WRITERS
from indexer.query.trend import trend
from indexer.store.remote import parse_location

_SHOWN = 10


def register(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    one = add_index_command(commands, "report", _run_report, "say what the neurons of an index have learned")
    one.add_argument("--format", choices=["json", *WRITERS], default="markdown", help="%(default)s by default")
    one.add_argument("--auc", type=float, default=SELECTIVE_AUC, help="from here on a neuron covers a class")
    one = add_command(commands, "compare", _run_compare, "compare a layer in two indexes of the same images")
    one.add_argument("a", type=parse_location, metavar="A")
    one.add_argument("b", type=parse_location, metavar="B")
    one.add_argument("--layer", required=True)
    one.add_argument("--layer-b", help="the layer of B, if it is called otherwise")
    one.add_argument("--json", action="store_true", help="every neuron, for programs")
    one = add_command(commands, "trend", _run_trend, "show how indexes of a network change over its training")
    one.add_argument(
        "indexes", type=parse_location, nargs="+", metavar="INDEX", help="in order of training, at least two"
    )
    one.add_argument("--layer", help="only this one; default: all that every index has")
    one.add_argument("--out", type=Path, help="draw it, as SVG; default: JSON on standard output")


def _run_report(options: argparse.Namespace) -> int:
    with indexer.open(options.index) as index:
        found = report(index, options.auc)
    print(json.dumps(found, indent=1) if options.format == "json" else WRITERS[options.format][1](found), end="")
    return 0


def _run_compare(options: argparse.Namespace) -> int:
    with indexer.open(options.a) as a, indexer.open(options.b) as b:
        found = compare(a, b, options.layer, options.layer_b)
        if options.json:
            print(json.dumps(found.as_dict(), indent=1))
        else:
            _print_comparison(found)
    return 0


def _print_comparison(found: Comparison) -> None:
    about = found.summary()
    print(f"{about['a']['index']} and {about['b']['index']}: {about['images']} images in common")
    for side in (about["a"], about["b"]):
        means = ", ".join(f"{name.replace('_', ' ')} {_number(side[name])}" for name in found.a.means())
        print(f"  {side['index']}, {side['layer']}: {side['neurons']} neurons, {side['dead']} dead, {means}")
    if found.same_neurons:
        print(f"woke up: {_listing(about['woke_up'])}")
        print(f"died: {_listing(about['died'])}")
    else:
        print("not the same neurons: numbers stand for something else in the other index")
    print(f"median correlation of a neuron with its best match: {_number(about['median_correlation'])}")


def _run_trend(options: argparse.Namespace) -> int:
    with ExitStack() as stack:
        found = trend([stack.enter_context(indexer.open(path)) for path in options.indexes], options.layer)
    if options.out is None:
        print(json.dumps(found, indent=1))
    else:
        options.out.write_text(trend_chart(found), encoding="utf-8")
        print(options.out)
    return 0


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _listing(neurons: list[int]) -> str:
    more = f" and {len(neurons) - _SHOWN} more" if len(neurons) > _SHOWN else ""
    return (", ".join(map(str, neurons[:_SHOWN])) or "none") + more
