"""``neurons``: list the neurons of a layer with their statistics and scores."""

import argparse
import csv
import json
import sys
from typing import Any, Final

from indexer.commands.options.shared import add_index

_SHOWN: Final = ("maximum", "firing_images", "auc_at_least", "clarity", "polysemanticity", "redundancy", "nearest")


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer")
    command.add_argument("--sort", default="neuron", help="a statistic, such as auc_at_least or clarity (%(default)s)")
    command.add_argument("--descending", action="store_true", help="the highest first")
    command.add_argument("--least", type=float, help="only neurons whose statistic is at least this")
    command.add_argument("--most", type=float, help="only neurons whose statistic is at most this")
    command.add_argument("--state", help="only dead, selective, dense, mixed or unknown ones")
    command.add_argument("--class", dest="class_", help="only neurons whose best class this is")
    command.add_argument("--limit", type=int, help="at most so many (all)")
    command.add_argument("--format", choices=["text", "json", "csv"], default="text", help="%(default)s by default")


def run(options: argparse.Namespace) -> int:
    from indexer.errors import InvalidRequest
    from indexer.query.index import open
    from indexer.query.learning.neurons import scored_by, table

    if options.limit is not None and options.limit < 1:
        raise InvalidRequest(f"limit must be at least 1, not {options.limit}")
    with open(options.index) as index:
        neurons = table(index, options.layer)
        numbers = neurons.ranked(
            options.sort, descending=options.descending, state=options.state, class_=options.class_,
            least=options.least, most=options.most,
        )[: options.limit]  # fmt: skip
        if (about := scored_by(index, options.layer).get("scores")) is not None:
            print(f"scores by {about['by']}, of {about['patches']} top patches each", file=sys.stderr)
        _WRITERS[options.format]([{"neuron": number, **neurons.row(number)} for number in numbers.tolist()])
    return 0


def _as_text(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        said = (f"{name} {row[name]:.4g}" for name in _SHOWN if row.get(name) is not None)
        named = row["category"] or row["best_class"] or ""
        print(f"{row['neuron']}: {row['state']} {named}".rstrip() + f"; {', '.join(said)}")


def _as_json(rows: list[dict[str, Any]]) -> None:
    print(json.dumps(rows, indent=1))


def _as_csv(rows: list[dict[str, Any]]) -> None:
    if rows:
        writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


_WRITERS: Final = {"text": _as_text, "json": _as_json, "csv": _as_csv}
