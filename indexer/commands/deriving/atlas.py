"""``atlas``: lay cells of a layer out in two dimensions, and keep the layout in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_index
from indexer.defaults import ATLAS_FITTED, ATLAS_PERPLEXITY, ATLAS_POINTS

if TYPE_CHECKING:
    from indexer.derive.carried.atlas import Atlas


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose cells it shows")
    command.add_argument(
        "--points", type=int, default=ATLAS_POINTS, help="show so many cells, at most 1,000,000 (%(default)s)"
    )
    command.add_argument(
        "--fitted", type=int, default=ATLAS_FITTED,
        help="lay out so many by t-SNE, at most 100,000; their neighbours place the others (%(default)s)",
    )  # fmt: skip
    command.add_argument("--perplexity", type=int, default=ATLAS_PERPLEXITY, help="that of t-SNE (%(default)s)")
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same atlas (%(default)s)")


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.output import tell
    from indexer.jobs.derived.atlas import keep_atlas, make_atlas
    from indexer.query.index import open

    with open(options.index) as index:
        atlas = make_atlas(
            index, options.layer, points=options.points, fitted=options.fitted, perplexity=options.perplexity,
            seed=options.seed, report=tell,
        )  # fmt: skip
        layer = index.layer(options.layer).info
    manifest = keep_atlas(options.index, layer, atlas)
    print(f"{options.index}: generation {manifest.generation}; {_line(options.layer, atlas)}")
    return 0


def _line(layer: str, atlas: "Atlas") -> str:
    fitted = int(atlas.fitted.sum())
    placed = f", and {len(atlas) - fitted} placed by their neighbours" if fitted < len(atlas) else ""
    recipe = atlas.recipe
    return (
        f"{layer}: {fitted} cells laid out by t-SNE{placed}; of the {recipe.neighbours} nearest neighbours of a cell "
        f"the atlas keeps {atlas.kept:.0%}, two principal components {atlas.kept_by_pca:.0%} (sampled on "
        f"{recipe.compared} cells)"
    )
