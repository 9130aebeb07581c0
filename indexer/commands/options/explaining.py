"""Options of the commands that explain answers with the network of an index, and how they print what they found."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from indexer.commands.options.shared import add_images_option, add_network_options
from indexer.defaults import MAX_PIXELS
from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    from indexer.query.index import Index


def add_explaining_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--format", choices=["text", "json"], default="text", help="%(default)s by default; json shows all"
    )
    add_images_option(command)
    add_network_options(command)


def print_found(found: dict[str, Any], options: argparse.Namespace, print_text: Callable[[], None]) -> None:
    """Print what was found as ``--format`` says."""
    if options.format == "json":
        print(json.dumps(found, indent=1))
    else:
        print_text()


def picture_named(index: "Index", image: str) -> "Image":
    """An image by its id, its path in the index, or the name of a file."""
    from indexer.images.reading import read_file, read_picture
    from indexer.store.remote import parse_location

    if image.isascii() and image.isdigit():
        return index.picture(index.image(int(image)))
    if Path(image).is_file():
        return read_picture(
            read_file(parse_location(image)), MAX_PIXELS, index.manifest.configuration.preprocessing.value_range
        )
    row = index.images.find_path(image)
    if row is None:
        raise InvalidRequest(f"{image} is not an image's id, not a path in the index, and not a file")
    return index.picture(index.image(int(index.images.id[row])))


def pixels_named(index: "Index", image: str) -> "np.ndarray":
    """Such an image as the network of the index gets it: pixels (h, w, 3) uint8."""
    return index.manifest.configuration.preprocessing.pixels(picture_named(index, image))
