"""``make optimal``: make the optimal inputs of neurons, and keep them beside the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_images_option, add_index, add_network_options
from indexer.defaults import MADE_AIMS, MADE_BATCH, MADE_RATE, MADE_STEPS, MADE_WAYS

if TYPE_CHECKING:
    from indexer.synthesis.optimal import Optimal


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons they are")
    command.add_argument("--neurons", required=True, help="their numbers, separated by commas, or all")
    command.add_argument("--way", choices=MADE_WAYS, default=MADE_WAYS[0], help="as what it is changed (%(default)s)")
    command.add_argument(
        "--aim", choices=MADE_AIMS, default=MADE_AIMS[0], help="the neuron's mean, or its cell in the middle"
    )
    command.add_argument("--steps", type=int, default=MADE_STEPS, help="so many (%(default)s)")
    command.add_argument("--rate", type=float, default=MADE_RATE, help="how far each step goes (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of chance (%(default)s)")
    command.add_argument("--batch", type=int, default=MADE_BATCH, help="so many at once (%(default)s)")
    add_images_option(command)
    add_network_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.pictures.sheet import neuron_numbers
    from indexer.query.index import open
    from indexer.synthesis.many import make_many
    from indexer.synthesis.recipe import Settings

    settings = Settings(options.way, options.aim, options.steps, options.rate, options.seed)
    with Bar("making", "step") as bar, open(options.index, options.images) as index:
        every = range(index.layer(options.layer).info.channels)
        neurons = every if options.neurons == "all" else neuron_numbers(options.neurons)
        network = index.network(options.weights, options.device, options.model)
        done = make_many(
            index, network, options.layer, neurons, settings, at_once=options.batch, progress=bar.step
        )  # fmt: skip
    for made in done.made:
        print(_line(made))
    if done.note:
        print(done.note)
    for numbers, said in ((done.before, "were there already"), (done.unmoved, "cannot be moved")):
        if numbers:
            print(f"{len(numbers)} {said}: {', '.join(map(str, numbers))}")
    return 0


def _line(made: "Optimal") -> str:
    trust = made.trust
    beside = "" if trust.ratio is None else f", {trust.ratio:.2f} of the highest photograph"
    fresh = "" if trust.transformed_ratio is None else f" ({trust.transformed_ratio:.2f} on fresh views)"
    paths = "".join(
        f"; {each.layer}: farther than {each.farther_than:.0f} % of {each.photographs} photographs"
        for each in trust.earlier
    )
    return f"{made.neuron}: activation {trust.activation:.4g}{beside}{fresh}{paths}"
