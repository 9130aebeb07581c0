"""A network as a function of images that may be changed: maps of its layers, through which gradients go back."""

from collections.abc import Collection

import torch

from indexer.errors import BadActivations, InvalidRequest
from indexer.images.input_size import RGB
from indexer.index.encoded_names import base_of
from indexer.network.encoding.encoders import Encoder
from indexer.network.forward import Network
from indexer.network.output_maps import as_maps
from indexer.network.passes.hooked_pass import run_pass
from indexer.receptive_field.graph.copies import plain_copy
from indexer.synthesis.ascending.before_relu import BeforeReLU


class Differentiable:
    """A copy of a network in float32, whatever precision its index has, with weights that stay as they are.

    Attributes
    ----------
    network : Network
        The network itself, which is left alone.
    size : (int, int)
        Height and width of the images.
    order : list of str
        The layers in the order in which they run; parts of what a module returns, and what a dictionary makes of a
        layer, among them.
    """

    def __init__(self, network: Network) -> None:
        if (channels := network.model.preprocessing.channels) != RGB:
            raise InvalidRequest(f"images are made for networks of R, G and B, and this one takes {channels} channels")
        self.network = network
        self.size = network.model.preprocessing.input_size
        self.device = network.device
        self._model = plain_copy(network.model.module).to(self.device).to(memory_format=torch.channels_last)
        for module in self._model.modules():
            if getattr(module, "inplace", False):
                module.__dict__["inplace"] = False
        for weight in self._model.parameters():
            weight.requires_grad_(False)
        preprocessing = network.model.preprocessing
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )
        with torch.no_grad():
            self.order = list(self.maps(torch.full((1, 3, *self.size), 0.5, device=self.device), network.traces))

    def maps(
        self, images: torch.Tensor, layers: Collection[str], *, before_relu: bool = False
    ) -> dict[str, torch.Tensor]:
        """Maps (B, C, H, W) of these layers, in the order in which they run.

        Parameters
        ----------
        images : Tensor (B, 3, h, w) float32
            Colours from 0 to 1, of the network's own size.
        before_relu : bool
            Maps before the ReLU, where one ends a layer; of a dictionary's layer, before most codes become 0.

        Raises
        ------
        InvalidRequest
            Another layer is wanted than the network is looked at for.
        BadActivations, UserCodeFailed
        """
        known = self.network.traces
        if unknown := set(layers).difference(known):
            raise InvalidRequest(f"layers must be some of {', '.join(known)}, not {', '.join(sorted(unknown))}")
        found: dict[str, torch.Tensor] = {}
        mode = BeforeReLU()
        show = mode.before if before_relu else _as_it_is
        encode = Encoder.driven_maps if before_relu else Encoder.__call__

        def keep(module: str, output: object) -> bool:
            trace = self.network.module_traces[module]
            if module in layers:
                found.setdefault(module, as_maps(module, show(output), trace))
            for layer, encoder in self._encoded(module, layers):
                found.setdefault(layer, encode(encoder, as_maps(module, output, trace)))
            return len(found) == len(layers)

        batch = ((images - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        with mode:
            run_pass(self._model, batch, {self._module_of(layer) for layer in layers}, keep)
        for layer in layers:
            if layer not in found:
                raise BadActivations(f"layer {layer!r} does not run for every image; choose one that always does")
            if not bool(torch.isfinite(found[layer]).all()):
                raise BadActivations(f"{layer} became NaN or infinite on the image that is made; a lower rate may help")
        return found

    def _module_of(self, layer: str) -> str:
        """The module, or the part of what one returns, whose maps a layer is, or is made of."""
        return base_of(layer) if layer in self.network.encoders else layer

    def _encoded(self, module: str, layers: Collection[str]) -> list[tuple[str, Encoder]]:
        """Those of some layers that dictionaries make of a module's maps."""
        encoders = self.network.encoders.items()
        return [(layer, encoder) for layer, encoder in encoders if layer in layers and base_of(layer) == module]


def _as_it_is(output: object) -> object:
    return output
