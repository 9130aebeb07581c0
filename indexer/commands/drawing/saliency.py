"""``saliency``: draw why a neuron fires at a cell of an image."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_layer_options, add_network_options
from indexer.defaults import METHODS
from indexer.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from indexer.query.index import Index
    from indexer.query.records import ImageRecord


def add_options(command: argparse.ArgumentParser) -> None:
    add_layer_options(command)
    command.add_argument("--neuron", type=int, required=True)
    command.add_argument("--image", type=int, help="an image's id; default: the one on which the neuron is most active")
    command.add_argument("--method", choices=METHODS, default=METHODS[0], help="default: %(default)s")
    add_network_options(command)
    command.add_argument(
        "--out", type=Path, required=True, help="a file with an ending that Pillow can write, such as .png"
    )
    command.add_argument("--size", type=int, default=448, help="longer side of the picture in pixels (%(default)s)")
    command.add_argument(
        "--context", type=float, default=0.0, help="how much to show on each side, in sides of the patch (%(default)s)"
    )


def run(options: argparse.Namespace) -> int:
    from indexer.network.attribution import attribute, check_method
    from indexer.network.differentiable import unit_of
    from indexer.pictures.saliency import saliency
    from indexer.query.index import open

    check_method(options.method)
    with open(options.index, options.images) as index:
        image, y, x = _cell(index, options)
        unit = unit_of(
            index.network(options.weights, options.device, options.model), options.layer, options.neuron, y, x
        )
        picture = saliency(
            index,
            lambda pixels, field: attribute(unit, pixels, options.method, field),
            image,
            options.layer,
            y,
            x,
            size=options.size,
            context=options.context,
        )
    try:
        picture.save(options.out)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{options.out} cannot be written: {error}") from error
    print(f"image {image.id} ({image.path}), cell {y},{x}")
    return 0


def _cell(index: "Index", options: argparse.Namespace) -> "tuple[ImageRecord, int, int]":
    """The image and the cell that were asked for; by default those where the neuron is most active."""
    layer = index.layer(options.layer)
    layer.check_neuron(options.neuron)
    if (options.y is None) != (options.x is None):
        raise InvalidRequest("--y and --x name one cell: give both, or neither")
    if options.image is None:
        best = index.top_patches(options.layer, options.neuron, limit=1, y=options.y, x=options.x).items
        if not best:
            raise NotFound("the index holds no images")
        return best[0].image, best[0].y, best[0].x
    image = index.image(options.image)
    if options.y is not None:
        layer.check_cell(options.y, options.x)
        return image, options.y, options.x
    y, x = divmod(int(index.activation_map(image.id, options.layer, options.neuron).argmax()), layer.info.width)
    return image, y, x
