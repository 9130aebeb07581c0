"""``sheet``: draw the top patches of neurons as a figure for a paper."""

import argparse
from pathlib import Path

from indexer.commands.console.lost import say_lost
from indexer.commands.options.masking import add_mask_options, mask_asked
from indexer.commands.options.shared import add_field_option, add_layer_options
from indexer.defaults import SHEET_CONTEXT, SHEET_FORMATS, SHEET_TILE


def add_options(command: argparse.ArgumentParser) -> None:
    add_layer_options(command)
    command.add_argument("--neurons", required=True, help="their numbers, separated by commas")
    command.add_argument("--columns", type=int, default=10, help="patches in a line (%(default)s)")
    command.add_argument("--rows", type=int, default=1, help="lines for each neuron (%(default)s)")
    command.add_argument("--made", action="store_true", help="begin each line with the image made for the neuron")
    command.add_argument("--class", dest="class_", help="only images of this class")
    add_field_option(command)
    add_mask_options(command)
    formats = ", ".join(SHEET_FORMATS)
    command.add_argument("--out", type=Path, required=True, help=f"a file whose name ends in {formats}")
    command.add_argument("--size", type=int, default=SHEET_TILE, help="side of a patch in pixels (%(default)s)")
    command.add_argument(
        "--context",
        type=float,
        default=SHEET_CONTEXT,
        help="how much to show on each side, in longer sides of the patch (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    from indexer.pictures.made_column import with_made
    from indexer.pictures.sheet import neuron_numbers, sheet
    from indexer.pictures.sheet_draw import save
    from indexer.query.index import open

    names = ("columns", "rows", "size", "context", "class_", "y", "x", "field")
    with open(options.index, options.images) as index:
        neurons = neuron_numbers(options.neurons)
        asked = {name: getattr(options, name) for name in names}
        drawn = sheet(index, options.layer, neurons, mask=mask_asked(index, options), **asked)
        if options.made:
            drawn = with_made(index, options.layer, neurons, drawn)
    save(drawn, options.out)
    say_lost(drawn.lost, options)
    return 0
