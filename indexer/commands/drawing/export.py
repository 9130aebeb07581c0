"""``export``: write top patches as a COCO data set, for other tools."""

import argparse
from pathlib import Path

from indexer.commands.console.lost import say_lost
from indexer.commands.options.masking import add_mask_options, mask_asked
from indexer.commands.options.shared import add_field_option, add_images_option, add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    add_images_option(command)
    command.add_argument("--layer", required=True)
    command.add_argument("--neurons", help="their numbers, separated by commas; default: all of the layer")
    command.add_argument("--top", type=int, default=9, help="patches of each neuron (%(default)s)")
    command.add_argument("--class", dest="class_", help="only images of this class")
    add_field_option(command)
    add_mask_options(command)
    command.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")


def run(options: argparse.Namespace) -> int:
    from indexer.exports.coco import export_patches
    from indexer.pictures.lost import LostOriginals
    from indexer.pictures.sheet import neuron_numbers
    from indexer.query.index import open

    with open(options.index, options.images) as index:
        channels = index.layer(options.layer).info.channels
        wanted = list(range(channels)) if options.neurons is None else neuron_numbers(options.neurons)
        lost = LostOriginals()
        labels = export_patches(
            index, options.layer, wanted, options.out, top=options.top, class_=options.class_, field=options.field,
            mask=mask_asked(index, options), lost=lost,
        )  # fmt: skip
    print(f"{options.out}: {len(labels['annotations'])} patches of {len(labels['images'])} images")
    say_lost(lost, options)
    return 0
