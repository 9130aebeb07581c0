"""How strongly the cells of a layer depend on each input pixel: mean squared gradients, and the fields that they leave.

1. ``effective_field(network, layer, batches, seed)`` runs a copy of the network on batches of pixels.
2. For each image and each cell, a backward pass starts from the cell's neurons, each with a random sign. The square of
   the gradient is then, on average over the signs, the sum over neurons of their squared gradients (Hutchinson 1989).
3. Cells whose exact receptive fields do not overlap share a backward pass: none gets any of another's gradient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from indexer.errors import BadActivations
from indexer.images.geometry import Box
from indexer.network.differentiable import LayerModule
from indexer.network.forward import Network
from indexer.receptive_field.effective import EffectiveField, smallest_box, step_apart
from indexer.receptive_field.field import ReceptiveField
from indexer.system.user_code import of_user

MOST_BYTES: Final = 1 << 28
_CLIPPED: Final = ("exact", "measured")
"""Kinds of receptive fields that no gradient leaves."""

Tell = Callable[[int, int], None]
"""Gets how many backward passes are done, and how many there are to do; of one image each."""


@dataclass(frozen=True)
class _Cell:
    """A cell, and the part of the input in which its gradient can lie."""

    y: int
    x: int
    field: Box


def effective_field(
    network: Network,
    layer: str,
    batches: Sequence[np.ndarray],
    seed: int,
    tell: Tell = lambda done, total: None,
    most: int = MOST_BYTES,
) -> EffectiveField:
    """Measure the effective receptive fields of all cells of a layer.

    Parameters
    ----------
    network : Network
        Is left as it is: a copy of it computes, in float32 whatever the index has.
    batches : sequence of ndarray (B, h, w, 3) uint8
        As `Preprocessing.pixels` gives the images.
    seed : int
        Of the random signs.
    most : int
        Bytes of gradients kept at a time. Fewer take more forward passes.

    Returns
    -------
    EffectiveField
        A cell whose gradient is 0 on all images has its whole receptive field as its box.

    Raises
    ------
    BadActivations
        A gradient is not finite.
    UserCodeFailed
        The network's own code raised something, forwards or backwards.
    """
    _, height, width = network.shapes[layer]
    size = network.model.preprocessing.input_size
    field = network.traces[layer].field
    boxes = np.zeros((height, width, 4), np.int32)
    rounds = _rounds(_groups(field, height, width, size), most)
    images = sum(map(len, batches))
    module, signs = LayerModule(network, layer), torch.Generator().manual_seed(seed)
    module.to(memory_format=torch.channels_last)
    for weight in module.model.parameters():
        weight.requires_grad_(False)
    total, done = images * sum(map(len, rounds)), 0
    for groups in rounds:
        squares = {cell: np.zeros((cell.field.height, cell.field.width)) for group in groups for cell in group}
        for pixels in batches:
            for _ in _add_squares(module, network.normalised(pixels), groups, squares, signs):
                done += len(pixels)
                tell(done, total)
        for cell, mass in squares.items():
            boxes[cell.y, cell.x] = _box(layer, cell, mass)
    return EffectiveField(boxes, images, seed)


def _add_squares(
    module: LayerModule,
    batch: torch.Tensor,
    groups: Sequence[Sequence[_Cell]],
    squares: dict[_Cell, np.ndarray],
    signs: torch.Generator,
) -> Iterator[None]:
    """Add the squared gradients of each group's cells, summed over a batch and the colours."""
    batch = batch.contiguous(memory_format=torch.channels_last).requires_grad_()
    with of_user("the network, asked for gradients,"):
        maps = module(batch)
    for group in groups:
        rows, columns = [cell.y for cell in group], [cell.x for cell in group]
        random = torch.randint(2, (*maps.shape[:2], len(group)), generator=signs).to(maps) * 2 - 1
        weights = torch.zeros_like(maps)
        weights[:, :, rows, columns] = random
        with of_user("the network, asked for gradients,"):
            (gradient,) = torch.autograd.grad(maps, batch, weights, retain_graph=True)
        found = gradient.square().sum(dim=(0, 1)).to("cpu", torch.float64).numpy()
        for cell in group:
            box = cell.field
            squares[cell] += found[box.top : box.bottom, box.left : box.right]
        yield


def _box(layer: str, cell: _Cell, mass: np.ndarray) -> tuple[int, int, int, int]:
    """The effective field of a cell, as a row of `EffectiveField.boxes`."""
    if not np.isfinite(mass).all():
        raise BadActivations(f"layer {layer!r} has a gradient that is not finite, at cell {cell.y},{cell.x}")
    field = cell.field
    box = smallest_box(mass) or Box(0, 0, field.width, field.height)
    return field.left + box.left, field.top + box.top, field.left + box.right, field.top + box.bottom


def _groups(field: ReceptiveField, height: int, width: int, size: tuple[int, int]) -> list[list[_Cell]]:
    """All cells of a map, in groups whose gradients cannot meet."""
    whole = Box(0, 0, size[1], size[0])
    apart = (height, width)
    if field.kind == "exact" and field.y is not None and field.x is not None:
        apart = step_apart(field.y), step_apart(field.x)

    def cell(y: int, x: int) -> _Cell:
        return _Cell(y, x, (field.box(y, x) if field.kind in _CLIPPED else None) or whole)

    return [
        [cell(y, x) for y in range(first_y, height, apart[0]) for x in range(first_x, width, apart[1])]
        for first_y in range(min(apart[0], height))
        for first_x in range(min(apart[1], width))
    ]


def _rounds(groups: Sequence[list[_Cell]], most: int) -> list[list[list[_Cell]]]:
    """Groups in rounds, each of which takes this memory at most, or has one group."""
    rounds: list[list[list[_Cell]]] = []
    left = 0
    for group in groups:
        size = sum(8 * cell.field.area for cell in group)
        if not rounds or size > left:
            rounds.append([])
            left = most
        rounds[-1].append(group)
        left -= size
    return rounds
