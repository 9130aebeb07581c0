"""``page``: write an index as one HTML file, for other people."""

import argparse
from pathlib import Path

from indexer.commands.console.lost import say_lost
from indexer.commands.options.masking import add_mask_options, mask_asked
from indexer.commands.options.shared import add_field_option, add_images_option, add_index
from indexer.defaults import PAGE_COLUMNS, PAGE_NEURONS


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    add_images_option(command)
    command.add_argument("--neurons", type=int, default=PAGE_NEURONS, help="neurons of each layer (%(default)s)")
    command.add_argument("--columns", type=int, default=PAGE_COLUMNS, help="patches of each neuron (%(default)s)")
    add_field_option(command)
    add_mask_options(command)
    command.add_argument("--out", type=Path, required=True, help="the HTML file")


def run(options: argparse.Namespace) -> int:
    from indexer.exports.page import write_page
    from indexer.pictures.lost import LostOriginals
    from indexer.query.index import open
    from indexer.store import atomic

    with open(options.index, options.images) as index:
        lost = LostOriginals()
        text = write_page(
            index, count=options.neurons, columns=options.columns, field=options.field, mask=mask_asked(index, options),
            lost=lost,
        )  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(options.out, text.encode("utf-8", "replace"))  # a file's name need not be UTF-8
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    say_lost(lost, options)
    return 0
