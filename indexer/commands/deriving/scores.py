"""``scores``: work out how clear, how mixed and how redundant the neurons of a layer are, and keep it in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_index
from indexer.defaults import SCORE_PATCHES, SCORE_POOLS

if TYPE_CHECKING:
    from indexer.derive.scores.file import Scores


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons get scores")
    command.add_argument("--by", required=True, metavar="LAYER", help="the layer in whose vectors patches are compared")
    command.add_argument(
        "--patches", type=int, default=SCORE_PATCHES, help="top patches of each neuron, one an image (%(default)s)"
    )
    command.add_argument(
        "--pool", choices=SCORE_POOLS, default=SCORE_POOLS[0],
        help="a patch's vector is the mean over its receptive field, or over the whole image (%(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.jobs.derived.scores import work_out_scores
    from indexer.query.index import open

    with Bar() as bar:
        manifest = work_out_scores(
            options.index, options.layer, options.by, patches=options.patches, pool=options.pool, reporter=bar.reporter
        )
    with open(options.index) as index:
        line = _line(options.layer, index.layer(options.layer).scored())
        print(f"{options.index}: generation {manifest.generation}; {line}")
    return 0


def _line(layer: str, scores: "Scores") -> str:
    """How clear the neurons are, and beside what."""
    import numpy as np

    known = scores.clarity[~np.isnan(scores.clarity)]
    if not len(known):
        return f"{layer}: no neuron is positive on two images, so none has scores"
    mixed = np.nanmedian(scores.polysemanticity)
    return (
        f"{layer} by {scores.recipe.by}: clarity {np.median(known):.3f} (median of {len(known)} neurons; two patches "
        f"of different neurons: {scores.between:.3f}), polysemanticity {mixed:.3f}, redundancy "
        f"{np.nanmedian(scores.redundancy):.3f}"
    )
