"""The rest of a network behind an encoded layer, whose neurons are the atoms of a dictionary.

1. ``rest = rest_of_layer(network, layer, output)`` is that of `indexer.explain.rest` for a layer of the network. For an
   encoded layer it runs from the maps that are encoded, and its changes and contributions are of atoms.
2. An atom's part of the maps is its code times its direction. What a change does to codes is done to these parts. All
   else of the maps stays, what no atom gives back included.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from indexer.errors import InvalidRequest
from indexer.explain.edits import EditedAtoms
from indexer.explain.rest import Contributions, Rest, rest_behind
from indexer.explain.whole_pass import MapChange
from indexer.index.encoded_names import base_of
from indexer.network.encoding.encoders import Encoder
from indexer.network.forward import Network


class RestOfAtoms(Rest):
    """The rest of a network behind an encoded layer.

    Parameters
    ----------
    base : Rest
        That behind the layer whose maps are encoded.
    layer : str
        The encoded layer.
    encoder : Encoder
    """

    def __init__(self, base: Rest, layer: str, encoder: Encoder) -> None:
        super().__init__(base.network, layer, base.output)
        self.start, self.reason, self.rows = base.start, base.reason, base.rows
        self._base, self._encoder = base, encoder

    def source(self, pixels: np.ndarray) -> np.ndarray:
        return self._base.source(pixels)

    def outputs(self, source: np.ndarray, change: MapChange | None = None) -> np.ndarray:
        """The outputs (B, O) float32 with the codes changed; ``change`` is one of maps (B, K, H, W) of codes."""
        return self._base.outputs(source, None if change is None else EditedAtoms(change, self._encoder))

    def contributions(self, source: np.ndarray, chosen: Callable[[torch.Tensor], torch.Tensor]) -> Contributions:
        """Code times gradient along the atom: gradient times activation, where the maps are a function of the codes."""
        outputs, maps, gradient = self._base.gradients(source, chosen)
        codes = self._encoder(maps)
        along = torch.einsum("bchw,kc->bkhw", gradient.double(), self._encoder.atoms)
        shares = (codes.double() * along).to(torch.float32)
        return Contributions(*(each.detach().to("cpu", torch.float32).numpy() for each in (outputs, codes, shares)))

    def active(self, source: np.ndarray, neurons: Sequence[int]) -> list[int]:
        if self.start != self._base.layer:
            return list(range(len(neurons)))
        codes = self._encoder(torch.from_numpy(source).to(self.network.device))[0]
        used = codes.flatten(1).any(dim=1).tolist()
        return [number for number, neuron in enumerate(neurons) if used[neuron]]


def rest_of_layer(network: Network, layer: str, output: str) -> Rest:
    """The rest of a network behind a layer, or behind one that a dictionary makes of another.

    Raises
    ------
    InvalidRequest
        As `rest_behind`; or the layer that is encoded is no longer in the index.
    UserCodeFailed, BadActivations
    """
    encoder = network.encoders.get(layer)
    if encoder is None:
        return rest_behind(network, layer, output)
    base = base_of(layer)
    if base not in network.own_layers:
        raise InvalidRequest(
            f"an atom of {layer} is a part of the maps of {base}, and that is no layer of the index that can be "
            f"changed; python -m indexer add-layers INDEX {base} keeps it"
        )
    return RestOfAtoms(rest_behind(network, base, output), layer, encoder)
