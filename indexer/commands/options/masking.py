"""Options of the commands that draw patches through masks."""

import argparse
from typing import TYPE_CHECKING

from indexer.commands.options.shared import add_network_options
from indexer.defaults import METHODS

if TYPE_CHECKING:
    import numpy as np

    from indexer.images.geometry import Box
    from indexer.pictures.mask import Cell, Mask
    from indexer.query.index import Index


def add_mask_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--mask", action="store_true", help="darken what does not matter of each patch; the network runs for it"
    )
    command.add_argument(
        "--method", choices=METHODS, default=METHODS[0], help="with --mask: what says what matters (%(default)s)"
    )
    add_network_options(command)


def mask_asked(index: "Index", options: argparse.Namespace) -> "Mask":
    """The mask that was asked for, or none."""
    from indexer.pictures.mask import mask_of, unmasked

    if not options.mask:
        return unmasked
    from indexer.network.attribution import attribute, check_method
    from indexer.network.differentiable import LayerModule, UnitModule

    check_method(options.method)
    network = index.network(options.weights, options.device, options.model)
    modules: dict[str, LayerModule] = {}

    def attribution(cell: "Cell", pixels: "np.ndarray", field: "Box | None") -> "np.ndarray":
        if cell.layer not in modules:
            modules[cell.layer] = LayerModule(network, cell.layer)
        return attribute(UnitModule(modules[cell.layer], cell.neuron, cell.y, cell.x), pixels, options.method, field)

    return mask_of(index, attribution)
