"""``dictionary``: learn directions of a layer, and keep what they make of every image as a layer."""

import argparse
from pathlib import Path

from indexer.commands.options.shared import add_index
from indexer.defaults import DICTIONARY_METHODS


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose directions are learned")
    command.add_argument("--name", required=True, help="the dictionary's; its layer is LAYER~NAME")
    command.add_argument(
        "--method", choices=DICTIONARY_METHODS, default="sae",
        help="k-means, non-negative matrix factorisation, or a sparse autoencoder (%(default)s)",
    )  # fmt: skip
    command.add_argument("--components", type=int, default=256, help="how many directions (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same dictionary (%(default)s)")
    command.add_argument(
        "--cells", type=int, default=100_000, help="how many vectors to learn from, at most (%(default)s)"
    )
    command.add_argument("--k", type=int, default=16, help="sae: directions that a vector has on average (%(default)s)")
    command.add_argument("--steps", type=int, default=2000, help="sae: steps of learning (%(default)s)")
    command.add_argument("--rate", type=float, default=2e-3, help="sae: learning rate (%(default)s)")
    command.add_argument(
        "--from", dest="source", type=Path, metavar="PATH",
        help="take a dictionary that is there: a folder of SAELens, or a file of safetensors; nothing is learned",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.commands.console.summary import print_summary
    from indexer.dictionaries.foreign import read_foreign
    from indexer.dictionaries.learn import Recipe
    from indexer.jobs.derived.dictionary import add_dictionary, learn_into

    with Bar() as bar:
        if options.source is not None:
            dictionary = read_foreign(options.source)
            manifest = add_dictionary(options.index, options.layer, options.name, dictionary, bar.reporter)
        else:
            recipe = Recipe(
                options.layer, options.method, options.components, options.seed, options.cells, options.k,
                options.steps, options.rate,
            )  # fmt: skip
            manifest = learn_into(options.index, options.name, recipe, bar.reporter)
    print_summary(options.index, manifest)
    return 0
