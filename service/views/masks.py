"""Masks of patches over HTTP: each takes a turn at the network."""

from typing import TYPE_CHECKING, Final

import numpy as np

from indexer.errors import InvalidRequest
from indexer.images.geometry import Box
from indexer.pictures.mask import Cell, CellAttribution, Mask, mask_of, unmasked
from service.inference.loader import UnitAddress
from service.questions import Question

if TYPE_CHECKING:
    from indexer.defaults import Method

MOST_MASKED: Final = 50
"""Patches of one picture that may be masked."""


def attribution_of(question: Question, method: "Method") -> CellAttribution:
    """What each input pixel adds to a cell; whoever asks waits for a turn at the network."""
    configuration, passes = question.index.manifest.configuration, question.services.passes

    def attribution(cell: Cell, pixels: np.ndarray, field: Box | None) -> np.ndarray:
        unit = UnitAddress(cell.layer, cell.neuron, cell.y, cell.x)
        with passes.turn() as network:
            return network.attribute(configuration, unit, method, pixels, field)

    return attribution


def mask_asked(question: Question, mask: bool, method: "Method", patches: int) -> Mask:
    """The mask of a picture of so many patches, or none if none is asked for.

    Raises
    ------
    InvalidRequest
        These are too many.
    """
    if not mask:
        return unmasked
    if patches > MOST_MASKED:
        raise InvalidRequest(
            f"mask=true takes at most {MOST_MASKED} patches, not {patches}, as the network runs for each; ask for "
            "fewer columns, rows or neurons"
        )
    return mask_of(question.index, attribution_of(question, method))
