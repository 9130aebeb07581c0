"""``export`` and ``page``: an index for other tools, and for other people."""

import argparse
from pathlib import Path
from typing import Any

import indexer
from indexer.commands.common import add_images_option, add_index_command, say_lost
from indexer.exports.coco import export_patches
from indexer.exports.page import COLUMNS, NEURONS, write_page
from indexer.pictures.lost import LostOriginals
from indexer.pictures.sheet import neuron_numbers
from indexer.store import atomic


def register(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    one = add_index_command(
        commands, "export", _run_export, "write top patches as a COCO data set (labels.json, data/) with crops"
    )
    add_images_option(one)
    one.add_argument("--layer", required=True)
    one.add_argument("--neurons", help="their numbers, with commas; default: all of the layer")
    one.add_argument("--top", type=int, default=9, help="patches a neuron (%(default)s)")
    one.add_argument("--class", dest="class_", help="only images of this class")
    one.add_argument("--out", type=Path, required=True, help="a folder that does not exist yet")
    one = add_index_command(
        commands, "page", _run_page, "write a page of what the neurons fire for: one HTML file with all pictures in it"
    )
    add_images_option(one)
    one.add_argument("--neurons", type=int, default=NEURONS, help="how many neurons a layer (%(default)s)")
    one.add_argument("--columns", type=int, default=COLUMNS, help="patches a neuron (%(default)s)")
    one.add_argument("--out", type=Path, required=True, help="the HTML file")


def _run_export(options: argparse.Namespace) -> int:
    with indexer.open(options.index, options.images) as index:
        channels = index.layer(options.layer).info.channels
        wanted = list(range(channels)) if options.neurons is None else neuron_numbers(options.neurons)
        lost = LostOriginals()
        labels = export_patches(
            index, options.layer, wanted, options.out, top=options.top, class_=options.class_, lost=lost
        )
    print(f"{options.out}: {len(labels['annotations'])} patches of {len(labels['images'])} images")
    say_lost(lost, options)
    return 0


def _run_page(options: argparse.Namespace) -> int:
    with indexer.open(options.index, options.images) as index:
        lost = LostOriginals()
        text = write_page(index, count=options.neurons, columns=options.columns, lost=lost)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(options.out, text.encode("utf-8", "replace"))  # a file's name need not be UTF-8
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")
    say_lost(lost, options)
    return 0
