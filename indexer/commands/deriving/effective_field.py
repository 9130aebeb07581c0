"""``effective-field``: measure the effective receptive fields of a layer, and keep them in the index."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_images_option, add_index, add_network_options
from indexer.defaults import EFFECTIVE_IMAGES

if TYPE_CHECKING:
    from indexer.jobs.derived.effective_field import Measured


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--layer", required=True, help="the layer whose cells they are")
    command.add_argument(
        "--sample", type=int, default=EFFECTIVE_IMAGES, help="take the gradients on so many images (%(default)s)"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="the same seed draws the same images and signs (%(default)s)"
    )
    add_images_option(command)
    add_network_options(command)


def run(options: argparse.Namespace) -> int:
    from indexer.commands.console.progress import Bar
    from indexer.jobs.derived.effective_field import keep_effective_field, measure_effective_field
    from indexer.query.index import open

    with Bar("taking gradients", "pass") as bar, open(options.index, options.images) as index:
        measured = measure_effective_field(
            index, options.layer, images=options.sample, seed=options.seed, weights=options.weights,
            device=options.device, model=options.model, tell=bar.step,
        )  # fmt: skip
    manifest = keep_effective_field(options.index, measured)
    print(f"{options.index}: generation {manifest.generation}; {_line(measured)}")
    if measured.left_out:
        print(f"  {measured.left_out} images of the sample cannot be read, and were left out")
    return 0


def _line(measured: "Measured") -> str:
    """How large the fields are, and what they were sampled on."""
    from indexer.receptive_field.effective import HELD

    field = measured.field
    height, width = field.median_sides
    return (
        f"{measured.layer.name}: {HELD:.0%} of the mean squared gradient lie in a box of {height:g} x {width:g} input "
        f"pixels (median of {measured.layer.cells} cells; sampled on {field.images} images, seed {field.seed})"
    )
