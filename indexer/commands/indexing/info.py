"""``info``: describe an index."""

import argparse
import json
from typing import Any

from indexer.commands.options.shared import add_index


def add_options(command: argparse.ArgumentParser) -> None:
    add_index(command)
    command.add_argument("--json", action="store_true", help="print JSON, for programs")
    command.add_argument("--skipped", action="store_true", help="list the images that could not be used, and why")


def run(options: argparse.Namespace) -> int:
    from indexer.jobs.info import describe, skipped_images

    if options.skipped:
        for path, reason in skipped_images(options.index):
            print(f"{path}: {reason}")
        return 0
    about = describe(options.index)
    if options.json:
        print(json.dumps(about, indent=1))
    else:
        _print(about)
    return 0


def _print(about: dict[str, Any]) -> None:
    for name, value in about.items():
        if name == "layers":
            print("layers:")
            for layer in value:
                print(f"  {layer['name']}: {layer['shape']}, receptive field {_words(layer)}")
        elif name == "bytes":
            print(f"bytes: {value['total']:,}, {value['an_image']:,} an image")
            for kind, of_kind in value["kinds"].items():
                print(f"  {kind}: {of_kind['bytes']:,}, {of_kind['an_image']:,} an image")
        else:
            print(f"{name}: {value}")


def _words(layer: dict[str, Any]) -> str:
    """A layer's receptive field in words, and its layout if a person gave one."""
    from indexer.receptive_field import ReceptiveField

    words = ReceptiveField(layer["receptive_field"], layer["receptive_field_reason"], None, None).words
    return f"{words}; layout {layer['layout']}" if layer["layout"] else words
