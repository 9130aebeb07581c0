"""A layer, or one cell of a neuron, as a function of the network's input, through which gradients go back.

1. ``LayerModule(network, layer)`` is the layer: normalised input (B, 3, h, w) -> maps (B, C, H, W).
2. ``UnitModule(module, neuron, y, x)`` is one cell of one neuron: normalised input (B, 3, h, w) -> (B,). Several may
   share the layer, and so the copy of the network.
"""

import torch
from torch import nn

from indexer.index.encoded_names import base_of
from indexer.network.forward import Network
from indexer.network.output_maps import as_maps
from indexer.receptive_field.graph.copies import plain_copy
from indexer.receptive_field.parts import place_in


class LayerModule(nn.Module):
    """A layer as a function of the network's input.

    Attributes
    ----------
    model : nn.Module
        A copy of the network, in float32 whatever the index has, in which nothing works in place, as the hooks of
        guided backpropagation need it.
    """

    def __init__(self, network: Network, layer: str) -> None:
        super().__init__()
        self.network = (network.model.preprocessing, network.device)
        self.model = plain_copy(network.model.module).to(network.device)
        for module in self.model.modules():
            if getattr(module, "inplace", False):
                module.__dict__["inplace"] = False
        self._encoder = network.encoders.get(layer)
        self._layer = base_of(layer) if self._encoder else layer
        self._trace = network.module_traces[self._layer]

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []

        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if not is_wanted():
                return
            if not kept:  # a network that catches what ends it may come here again
                maps = as_maps(self._layer, place.of(output), self._trace)
                kept.append(self._encoder(maps) if self._encoder else maps)
            raise _Reached

        place = place_in(self.model, self._layer)
        is_wanted = place.counted()
        handle = nn.Module.register_forward_hook(self.model.get_submodule(place.module), keep)
        try:
            self.model(batch)
        except _Reached:
            pass
        finally:
            handle.remove()
        return kept[0]


class UnitModule(nn.Module):
    """One cell of one neuron of a layer: normalised input (B, 3, h, w) -> activations (B,)."""

    def __init__(self, layer: LayerModule, neuron: int, y: int, x: int) -> None:
        super().__init__()
        self.layer = layer
        self._cell = (neuron, y, x)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.layer(batch)
        return maps[:, *self._cell]


class _Reached(BaseException):
    """Ends a forward pass at the layer; networks catch exceptions of the common kind."""


def unit_of(network: Network, layer: str, neuron: int, y: int, x: int) -> UnitModule:
    """A cell of a neuron as a function of the input; the network itself is left as it is."""
    return UnitModule(LayerModule(network, layer), neuron, y, x)
