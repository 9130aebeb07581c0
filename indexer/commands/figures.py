"""``sheet`` and ``saliency``: pictures for a paper."""

import argparse
from pathlib import Path
from typing import Any

import indexer
from indexer.commands.common import Run, add_images_option, add_index_command, add_network_options, say_lost
from indexer.errors import InvalidRequest, NotFound
from indexer.network.attribution import METHODS, attribute, check_method, unit_of
from indexer.pictures.saliency import saliency
from indexer.pictures.sheet import CONTEXT, TILE, neuron_numbers, sheet
from indexer.pictures.sheet_draw import FORMATS, save


def register(commands: Any) -> None:
    """Add the commands to a parser's subparsers."""
    one = _add_layer_command(commands, "sheet", _run_sheet, "draw the top patches of neurons, a line for each")
    one.add_argument("--neurons", required=True, help="their numbers, with commas")
    one.add_argument("--columns", type=int, default=10, help="patches a line (%(default)s)")
    one.add_argument("--rows", type=int, default=1, help="lines a neuron (%(default)s)")
    one.add_argument("--class", dest="class_", help="only images of this class")
    one.add_argument("--out", type=Path, required=True, help=f"a file whose name ends in {', '.join(FORMATS)}")
    one.add_argument("--size", type=int, default=TILE, help="side of a patch in pixels (%(default)s)")
    one.add_argument("--context", type=float, default=CONTEXT, help="how much to show around it, by its longer side")
    one = _add_layer_command(commands, "saliency", _run_saliency, "draw why a neuron fires at a cell of an image")
    one.add_argument("--neuron", type=int, required=True)
    one.add_argument("--image", type=int, help="an image's id; default: the one on which the neuron is most active")
    one.add_argument("--method", choices=METHODS, default=METHODS[0], help="%(default)s by default")
    add_network_options(one)
    one.add_argument("--out", type=Path, required=True, help="a file of a kind that Pillow writes, such as .png")
    one.add_argument("--size", type=int, default=448, help="longer side of the picture in pixels (%(default)s)")
    one.add_argument("--context", type=float, default=0.0, help="how much to show around it, by its sides")


def _add_layer_command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    command = add_index_command(commands, name, run, text)
    add_images_option(command)
    command.add_argument("--layer", required=True)
    command.add_argument("--y", type=int, help="row of a cell; default: where the neuron is most active")
    command.add_argument("--x", type=int, help="column of the cell")
    return command


def _run_sheet(options: argparse.Namespace) -> int:
    names = ("columns", "rows", "size", "context", "class_", "y", "x")
    with indexer.open(options.index, options.images) as index:
        made = sheet(
            index, options.layer, neuron_numbers(options.neurons), **{name: getattr(options, name) for name in names}
        )
    save(made, options.out)
    say_lost(made.lost, options)
    return 0


def _run_saliency(options: argparse.Namespace) -> int:
    check_method(options.method)
    with indexer.open(options.index, options.images) as index:
        image, y, x = _place(index, options)
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


def _place(index: indexer.Index, options: argparse.Namespace) -> tuple:
    """The image and the cell asked for, else where the neuron is most active."""
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
    highest = index.activation_map(image.id, options.layer, options.neuron).argmax()
    return image, *(int(side) for side in divmod(highest, layer.info.width))
