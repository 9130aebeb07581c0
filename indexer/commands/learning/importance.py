"""``importance``: silence each neuron of a layer alone, and see what it does to the answers."""

import argparse
from typing import Any

from indexer.commands.options.explaining import add_explaining_options, print_found
from indexer.commands.options.shared import add_index
from indexer.defaults import IMPORTANCE_IMAGES


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons are silenced")
    command.add_argument("--sample", type=int, default=IMPORTANCE_IMAGES, help="over so many images (%(default)s)")
    command.add_argument("--limit", type=int, default=20, help="show so many neurons (%(default)s)")
    add_explaining_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.explain.importance import importance
    from indexer.query.index import open

    with Bar("silencing") as bar, open(options.index, options.images) as index:
        found = importance(
            index, index.network(options.weights, options.device, options.model), options.layer,
            images=options.sample, progress=bar.step,
        ).as_dict()  # fmt: skip
    print_found(found, options, lambda: _print(found, options.limit))
    return 0


def _print(found: dict[str, Any], limit: int) -> None:
    print(
        f"{found['images']} of the {found['of']} images whose class stands for an output, {found['way']}; accuracy "
        f"{found['accuracy']:.1%}"
    )
    print(f"{'neuron':>8}  {'change of accuracy':>22}  {'change of the own output':>26}  answers changed")
    for each in found["neurons"][:limit]:
        accuracy, own = (_figure(each, name, form) for name, form in (("accuracy", "+.1%"), ("own_output", "+.4g")))
        print(f"{each['neuron']:>8}  {accuracy:>22}  {own:>26}  {each['changed']}")


def _figure(each: dict[str, Any], name: str, form: str) -> str:
    error = each[f"{name}_error"]
    return format(each[name], form) + ("" if error is None else f" ± {format(error, form.lstrip('+'))}")
