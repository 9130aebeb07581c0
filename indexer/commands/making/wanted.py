"""``make wanted``: make images that do several things at once, or several images of one thing that differ."""

import argparse
from pathlib import Path

from indexer.commands.making.writing import add_out_option, check_png, write
from indexer.commands.options.explaining import pixels_named
from indexer.commands.options.shared import add_images_option, add_index, add_network_options
from indexer.defaults import MADE_RATE, MADE_STEPS, MADE_WAYS


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument(
        "--want", nargs="+", action="append", required=True, metavar="WORD",
        help="[WEIGHT] neuron LAYER N, unit LAYER N Y,X, patch LAYER IMAGE Y,X, class LAYER CLASS, output NAME, or "
        "layer LAYER; several times for several at once",
    )  # fmt: skip
    command.add_argument("--count", type=int, default=1, metavar="N", help="so many images (%(default)s)")
    command.add_argument("--apart", type=float, default=0.0, help="how much it counts that they differ (%(default)s)")
    command.add_argument("--start", metavar="IMAGE", help="an image's id, path or file to begin with; default: grey")
    command.add_argument("--way", choices=MADE_WAYS, default=MADE_WAYS[0], help="as what it is changed (%(default)s)")
    command.add_argument("--steps", type=int, default=MADE_STEPS, help="so many (%(default)s)")
    command.add_argument("--rate", type=float, default=MADE_RATE, help="how far each step goes (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of chance (%(default)s)")
    add_out_option(command)
    add_images_option(command)
    add_network_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.query.index import open
    from indexer.synthesis.recipe import Settings
    from indexer.synthesis.wanted import make_wanted
    from indexer.synthesis.wishes import read_wish

    check_png(options.out)
    settings = Settings(options.way, steps=options.steps, rate=options.rate, seed=options.seed)
    with Bar("making", "step") as bar, open(options.index, options.images) as index:
        wishes = [read_wish(index, words) for words in options.want]
        start = None if options.start is None else pixels_named(index, options.start)
        network = index.network(options.weights, options.device, options.model)
        made = make_wanted(
            index, network, wishes, settings,
            images=options.count, apart=options.apart, start=start, progress=bar.step,
        )  # fmt: skip
    for number, one in enumerate(made):
        path = _numbered(options.out, number, len(made))
        write(path, one.png())
        values = zip(options.want, one.before, one.after, strict=True)
        print(f"{path}: " + "; ".join(f"{' '.join(words)}: {low:.4g} -> {high:.4g}" for words, low, high in values))
    return 0


def _numbered(path: Path, number: int, count: int) -> Path:
    """One file of several: ``made.png`` -> ``made-1.png``."""
    return path if count == 1 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
