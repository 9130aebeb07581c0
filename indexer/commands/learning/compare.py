"""``compare``: compare a layer in two indexes of the same images."""

import argparse
import json
from typing import TYPE_CHECKING

from indexer.store.remote import parse_location

if TYPE_CHECKING:
    from indexer.query.learning.compare import Comparison

_SHOWN = 10


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("a", type=parse_location, metavar="A")
    command.add_argument("b", type=parse_location, metavar="B")
    command.add_argument("--layer", required=True)
    command.add_argument("--layer-b", help="the layer of B, if it has another name there")
    command.add_argument("--json", action="store_true", help="print every neuron, as JSON")


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open
    from indexer.query.learning.compare import compare

    with open(options.a) as a, open(options.b) as b:
        comparison = compare(a, b, options.layer, options.layer_b)
        if options.json:
            print(json.dumps(comparison.as_dict(), indent=1))
        else:
            _print(comparison)
    return 0


def _print(comparison: "Comparison") -> None:
    about = comparison.summary()
    print(f"{about['a']['index']} and {about['b']['index']}: {about['images']} images in common")
    for side in (about["a"], about["b"]):
        means = ", ".join(f"{name.replace('_', ' ')} {_number(side[name])}" for name in comparison.a.means())
        print(f"  {side['index']}, {side['layer']}: {side['neurons']} neurons, {side['dead']} dead, {means}")
    if comparison.same_neurons:
        print(f"woke up: {_listing(about['woke_up'])}")
        print(f"died: {_listing(about['died'])}")
    else:
        print("not the same neurons: a number stands for another neuron in the other index")
    print(f"median correlation of a neuron with its best match: {_number(about['median_correlation'])}")


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"


def _listing(neurons: list[int]) -> str:
    rest = f" and {len(neurons) - _SHOWN} more" if len(neurons) > _SHOWN else ""
    return (", ".join(map(str, neurons[:_SHOWN])) or "none") + rest
