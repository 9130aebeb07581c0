"""``neuron-atlas``: lay the neurons of a layer out in two dimensions, and keep the layout in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_index
from indexer.defaults import ATLAS_PERPLEXITY

if TYPE_CHECKING:
    from indexer.derive.carried.neuron_atlas import NeuronAtlas


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons, or atoms, it shows")
    command.add_argument("--perplexity", type=int, default=ATLAS_PERPLEXITY, help="that of t-SNE (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same atlas (%(default)s)")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.output import tell
    from indexer.jobs.derived.neuron_atlas import keep_neuron_atlas, make_neuron_atlas
    from indexer.query.index import open

    with open(options.index) as index:
        atlas = make_neuron_atlas(
            index, options.layer, perplexity=options.perplexity, seed=options.seed, report=tell
        )  # fmt: skip
        layer = index.layer(options.layer).info
    manifest = keep_neuron_atlas(options.index, layer, atlas)
    print(f"{options.index}: generation {manifest.generation}; {_line(options.layer, atlas, layer.channels)}")
    return 0


def _line(layer: str, atlas: "NeuronAtlas", neurons: int) -> str:
    recipe, left_out = atlas.recipe, neurons - len(atlas)
    out = f" ({left_out} without a place, with the same peak on all images)" if left_out else ""
    over = (
        f"{recipe.over} of {recipe.images} images, by lot" if recipe.over < recipe.images else f"{recipe.over} images"
    )
    how = "measured on all" if recipe.compared == len(atlas) else f"sampled on {recipe.compared}"
    return (
        f"{layer}: {len(atlas)} neurons laid out by t-SNE{out}, by the correlation of their peaks over {over}; of the "
        f"{recipe.neighbours} nearest neighbours of a neuron the atlas keeps {atlas.kept:.0%}, two principal "
        f"components {atlas.kept_by_pca:.0%} ({how})"
    )
