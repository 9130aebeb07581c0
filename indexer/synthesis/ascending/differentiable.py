"""A network as a function of images that may be changed: maps of its layers, through which gradients go back."""

from collections.abc import Collection

import torch

from indexer.errors import BadActivations, InvalidRequest
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
        The layers in the order in which they run.
    """

    def __init__(self, network: Network) -> None:
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
            self.order = list(self.maps(torch.full((1, 3, *self.size), 0.5, device=self.device), network.own_layers))

    def maps(
        self, images: torch.Tensor, layers: Collection[str], *, before_relu: bool = False
    ) -> dict[str, torch.Tensor]:
        """Maps (B, C, H, W) of these layers, in the order in which they run.

        Parameters
        ----------
        images : Tensor (B, 3, h, w) float32
            Colours from 0 to 1, of the network's own size.
        before_relu : bool
            Maps before the ReLU, where one ends a layer.

        Raises
        ------
        InvalidRequest
            Another layer is wanted than the network is looked at for.
        BadActivations, UserCodeFailed
        """
        own = self.network.own_layers
        if unknown := set(layers).difference(own):
            raise InvalidRequest(f"layers must be some of {', '.join(own)}, not {', '.join(sorted(unknown))}")
        found: dict[str, torch.Tensor] = {}
        mode = BeforeReLU()

        def keep(layer: str, output: object) -> bool:
            shown = mode.before(output) if before_relu and isinstance(output, torch.Tensor) else output
            found.setdefault(layer, as_maps(layer, shown, self.network.traces[layer]))
            return len(found) == len(layers)

        batch = ((images - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        with mode:
            run_pass(self._model, batch, layers, keep)
        for layer in layers:
            if layer not in found:
                raise BadActivations(f"layer {layer!r} does not run for every image; choose one that always does")
        return found
