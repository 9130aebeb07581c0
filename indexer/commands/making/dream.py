"""``make dream``: amplify on an image what a layer, or some of its neurons, see there."""

import argparse

from indexer.commands.making.writing import add_out_option, check_png, write
from indexer.commands.options.explaining import pixels_named
from indexer.commands.options.shared import add_images_option, add_index, add_network_options


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("image", metavar="IMAGE", help="an image's id, its path in the index, or a file")
    command.add_argument("--layer", required=True, help="the layer that is amplified")
    command.add_argument("--neurons", help="these of its neurons, separated by commas; default: all")
    command.add_argument("--octaves", type=int, default=4, help="so many sizes of details (%(default)s)")
    command.add_argument("--steps", type=int, default=10, help="so many for each (%(default)s)")
    command.add_argument("--rate", type=float, default=0.01, help="how far each step goes (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of chance (%(default)s)")
    add_out_option(command)
    add_images_option(command)
    add_network_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.pictures.sheet import neuron_numbers
    from indexer.query.index import open
    from indexer.synthesis.dream import Dream, dream

    check_png(options.out)
    neurons = None if options.neurons is None else neuron_numbers(options.neurons)
    wanted = Dream(
        options.layer, neurons, octaves=options.octaves, steps=options.steps, rate=options.rate, seed=options.seed
    )  # fmt: skip
    with Bar("dreaming", "step") as bar, open(options.index, options.images) as index:
        network = index.network(options.weights, options.device, options.model)
        made = dream(index, network, pixels_named(index, options.image), wanted, progress=bar.step)
    write(options.out, made.png())
    return 0
