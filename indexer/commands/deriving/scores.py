"""``scores``: work out how clear, how mixed and how redundant the neurons of a layer are, and keep it in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.encoder import add_encoder_arguments, encoder_of
from indexer.commands.options.shared import add_images_option, add_index
from indexer.defaults import SCORE_PATCHES, SCORE_POOLS

if TYPE_CHECKING:
    from indexer.derive.scores.file import Scores
    from indexer.index.manifest import Manifest


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose neurons get scores")
    by = command.add_mutually_exclusive_group(required=True)
    by.add_argument("--by", metavar="LAYER", help="the layer in whose vectors patches are compared")
    by.add_argument(
        "--encoder", metavar="MODULE:FACTORY", help="makes an encoder of images, in whose vectors patches are compared"
    )
    add_encoder_arguments(command)
    add_images_option(command)
    command.add_argument(
        "--patches", type=int, default=SCORE_PATCHES, help="top patches of each neuron, one an image (%(default)s)"
    )
    command.add_argument(
        "--pool", choices=SCORE_POOLS, default=SCORE_POOLS[0],
        help="with --by: a patch's vector is the mean over its receptive field, or over the whole image (%(default)s)",
    )  # fmt: skip


def run(options: argparse.Namespace) -> int:
    from indexer.query.index import open

    manifest = (_by_layer if options.encoder is None else _by_encoder)(options)
    with open(options.index) as index:
        line = _line(options.layer, index.layer(options.layer).scored())
        print(f"{options.index}: generation {manifest.generation}; {line}")
    return 0


def _by_layer(options: argparse.Namespace) -> "Manifest":
    from indexer.commands.console.progress import Bar
    from indexer.jobs.derived.scores import work_out_scores

    with Bar() as bar:
        return work_out_scores(
            options.index, options.layer, options.by, patches=options.patches, pool=options.pool, reporter=bar.reporter
        )


def _by_encoder(options: argparse.Namespace) -> "Manifest":
    from indexer.commands.console.progress import Bar
    from indexer.jobs.derived.encoder_scores import keep_encoder_scores, make_encoder_scores
    from indexer.query.index import open

    with open(options.index, options.images) as index:
        layer = index.layer(options.layer).info
        with Bar("encoding", "neuron") as bar:
            scores = make_encoder_scores(
                index, layer.name, encoder_of(options), patches=options.patches, progress=bar.step
            )
    return keep_encoder_scores(options.index, layer, scores)


def _line(layer: str, scores: "Scores") -> str:
    """How clear the neurons are, and beside what."""
    import numpy as np

    known = scores.clarity[~np.isnan(scores.clarity)]
    if not len(known):
        return f"{layer}: no neuron is positive on two images, so none has scores"
    mixed = np.nanmedian(scores.polysemanticity)
    return (
        f"{layer} by {scores.recipe.words}: clarity {np.median(known):.3f} (median of {len(known)} neurons; two "
        f"patches of different neurons: {scores.between:.3f}), polysemanticity {mixed:.3f}, redundancy "
        f"{np.nanmedian(scores.redundancy):.3f}{_lost(getattr(scores.recipe, 'lost', 0))}"
    )


def _lost(patches: int) -> str:
    return f"; {patches} patches were left out, as their originals are not there" if patches else ""
