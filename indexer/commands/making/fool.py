"""``make fool``: change an image a little so that the network answers something else, or make noise that it answers."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from indexer.commands.making.writing import add_out_option, check_png, write
from indexer.commands.options.explaining import add_explaining_options, pixels_named, print_found
from indexer.commands.options.shared import add_index
from indexer.defaults import FOOLING_NORMS
from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    from indexer.network.forward import Network
    from indexer.query.index import Index
    from indexer.synthesis.fooling import Fooled, Noise


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("image", nargs="?", metavar="IMAGE", help="an image's id, its path in the index, or a file")
    command.add_argument("--noise", action="store_true", help="in place of IMAGE: noise that is answered as the target")
    command.add_argument("--target", metavar="OUTPUT", help="what it is to answer: a number, class or name")
    command.add_argument(
        "--norm", choices=FOOLING_NORMS, default=FOOLING_NORMS[0], help="how a change is measured (%(default)s)"
    )
    command.add_argument(
        "--most", type=float, help="the most of that norm, for colours from 0 to 1; default: the least that does it"
    )
    command.add_argument("--seed", type=int, default=0, help="of the noise (%(default)s)")
    add_out_option(command)
    add_explaining_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open

    if options.noise == (options.image is not None) or (options.noise and options.target is None):
        raise InvalidRequest("name one IMAGE, or --noise with a --target")
    check_png(options.out)
    with open(options.index, options.images) as index:
        network = index.network(options.weights, options.device, options.model)
        made = _noise(index, network, options) if options.noise else _fooled(index, network, options)
    write(options.out, made.png())
    return 0


def _noise(index: "Index", network: "Network", options: argparse.Namespace) -> "Noise":
    from indexer.commands.console.progress import Bar
    from indexer.synthesis.fooling import noise

    with Bar("making", "step") as bar:
        made = noise(index, network, options.target, seed=options.seed, progress=bar.step)
    found = {"recipe": made.recipe, "answer": asdict(made.answer)}
    print_found(found, options, lambda: print(f"noise, answered {_name(found['answer'])}"))
    return made


def _fooled(index: "Index", network: "Network", options: argparse.Namespace) -> "Fooled":
    from indexer.synthesis.fooling import fool

    pixels = pixels_named(index, options.image)
    made = fool(index, network, pixels, target=options.target, norm=options.norm, most=options.most)
    found = made.as_dict()
    print_found(found, options, lambda: _print(found))
    return made


def _print(found: dict[str, Any]) -> None:
    if not found["fooled"]:
        print("not fooled: no change of this size was found that does it")
    print(f"{_name(found['answer_before'])} -> {_name(found['answer_after'])}")
    print(
        f"{found['norm']} of the change: {found['distance']:.4g}, with 8 bits a colour {found['distance_kept']:.4g}; "
        f"{found['same_after']:.0%} of moved views are answered so (of the original {found['same_before']:.0%})"
    )
    for layer in found["turning"]:
        print(f"{layer['layer']}: {layer['on']} neurons turned on, {layer['off']} off")
        for one in layer["strongest"]:
            print(f"  {one['neuron']:>6}  {one['before']:.4g} -> {one['after']:.4g}, fires from {one['threshold']:.4g}")


def _name(answer: dict[str, Any]) -> str:
    return f"{answer['name']} ({answer['confidence']:.1%})"
