"""Which neurons pushed an output up or down: by gradient times activation, and by silencing each.

The estimate is gradient times activation (Ancona et al. 2018, "Towards better understanding of gradient-based
attribution methods for deep neural networks", who call it gradient times input). It ranks. The effect of those that are
shown is then measured: the neuron's channel is set to zero and the rest of the network runs again (Morcos et al. 2018,
"On the importance of single directions for generalization"; Zhou et al. 2018, "Revisiting the importance of individual
units in CNNs via ablation").
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import torch

from indexer.errors import NotFound
from indexer.explain.asked import Asked, Pushing, Said
from indexer.explain.atoms import rest_of_layer
from indexer.explain.edits import silenced
from indexer.explain.rest import Contributions, Rest, in_float32
from indexer.explain.sources import Stop, check_stop, never
from indexer.network.forward import Network

HEAT_CELLS: Final = 1024
"""Most numbers of a heat map; larger maps are summed over square blocks of cells."""


def explain(network: Network, asked: Asked, pixels: np.ndarray) -> Said:
    """Explain an output on one image, always from its pixels and in float32.

    Parameters
    ----------
    network : Network
        No other thread may use a model when this begins, see `rest_behind`.
    pixels : ndarray (h, w, 3) uint8
        As `Preprocessing.pixels` gives them.

    Raises
    ------
    NotFound
        The network has no such output.
    InvalidRequest
        No gradient comes back to the layer, or the network is not looked at for it.
    UserCodeFailed, BadActivations
    """
    rest = rest_of(network, asked)
    source = rest.source(pixels[None].copy())  # torch takes no memory that it may not write
    found = rest.contributions(source, value_of(asked))
    by_neuron = sums(found)[0]
    shown = [each for part in shown_of(by_neuron, asked.limit) for each in part]
    before, after = silencing(rest, source, shown)
    answer = int(found.outputs[0].argmax())
    for_ = answer if asked.for_ is None else asked.for_
    value = value_in(before, for_, asked.against)
    block = block_of(*found.shares.shape[2:])
    pushing = {
        neuron: _pushing(
            neuron, found, by_neuron, value, value_in(outputs, for_, asked.against), int(outputs.argmax()), block
        )
        for neuron, outputs in zip(shown, after, strict=True)
    }
    up, down = ([pushing[neuron] for neuron in part] for part in shown_of(by_neuron, asked.limit))
    return Said(
        rest.ran, for_, answer, value, float(by_neuron.sum()), len(by_neuron), int((by_neuron > 0).sum()),
        int((by_neuron < 0).sum()), up, down, block,
    )  # fmt: skip


def rest_of(network: Network, asked: Asked) -> Rest:
    """The rest of a network that a question is about, in float32.

    Raises
    ------
    NotFound
        The network has no such output.
    InvalidRequest, UserCodeFailed, BadActivations
        As `rest_of_layer`.
    """
    exact = in_float32(network)
    rest = rest_of_layer(exact, asked.layer, asked.output)
    outputs = exact.shapes[asked.output][0]
    for output in (asked.for_, asked.against):
        if output is not None and not 0 <= output < outputs:
            raise NotFound(f"layer {asked.output} has the outputs 0 to {outputs - 1}, not {output}")
    return rest


def value_of(asked: Asked) -> Callable[[torch.Tensor], torch.Tensor]:
    """From outputs (B, O) to the value (B,) that is explained."""

    def value(outputs: torch.Tensor) -> torch.Tensor:
        if asked.for_ is None:
            explained = outputs.gather(1, outputs.argmax(1, keepdim=True))[:, 0]
        else:
            explained = outputs[:, asked.for_]
        return explained if asked.against is None else explained - outputs[:, asked.against]

    return value


def sums(found: Contributions) -> np.ndarray:
    """The contribution (B, C) float64 of each neuron to each image's value."""
    total: np.ndarray = found.shares.sum(axis=(2, 3), dtype=np.float64)
    return total


def shown_of(by_neuron: np.ndarray, limit: int) -> tuple[list[int], list[int]]:
    """The neurons with the largest contributions (C,) above 0, and those with the lowest below 0."""
    ascending = np.argsort(by_neuron, kind="stable")
    descending = np.argsort(-by_neuron, kind="stable")
    up, down = descending[by_neuron[descending] > 0], ascending[by_neuron[ascending] < 0]
    return up[:limit].tolist(), down[:limit].tolist()


def silencing(
    rest: Rest, source: np.ndarray, neurons: Sequence[int], stop: Stop = never
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs (O,) of one image as it is, and (n, O) with each of these neurons silenced.

    All come from passes of one size, so that they differ by the neuron alone.
    """
    full = np.repeat(source, rest.rows, axis=0)
    before = rest.outputs(full)[0]
    result = np.zeros((len(neurons), len(before)), np.float32)
    for first in range(0, len(neurons), rest.rows):
        check_stop(stop)
        part = np.array(neurons[first : first + rest.rows])
        filled = part[np.minimum(np.arange(rest.rows), len(part) - 1)]
        result[first : first + len(part)] = rest.outputs(full, silenced(torch.from_numpy(filled)))[: len(part)]
    return before, result


def block_of(height: int, width: int) -> int:
    """The smallest side of blocks for which a map of this size has at most `HEAT_CELLS` of them."""
    side = 1
    while math.ceil(height / side) * math.ceil(width / side) > HEAT_CELLS:
        side += 1
    return side


def blocks(map_: np.ndarray, side: int) -> np.ndarray:
    """Sums over square blocks of a map (H, W); the last ones may have fewer cells."""
    rows, columns = (np.arange(0, length, side) for length in map_.shape)
    summed: np.ndarray = np.add.reduceat(np.add.reduceat(map_.astype(np.float64), rows, axis=0), columns, axis=1)
    return summed


def value_in(outputs: np.ndarray, for_: int, against: int | None) -> float:
    """The explained value in the outputs (O,) of one image."""
    return float(outputs[for_]) - (0.0 if against is None else float(outputs[against]))


def _pushing(
    neuron: int, found: Contributions, by_neuron: np.ndarray, value: float, without: float, answer: int, block: int
) -> Pushing:
    share = found.shares[0, neuron]
    strongest = share if by_neuron[neuron] > 0 else -share
    y, x = divmod(int(strongest.argmax()), share.shape[1])
    heat = [[float(f"{each:.4g}") for each in row] for row in blocks(share, block).tolist()]
    return Pushing(
        neuron, float(by_neuron[neuron]), without - value, without, answer, float(found.maps[0, neuron].max()), y, x,
        heat,
    )  # fmt: skip
