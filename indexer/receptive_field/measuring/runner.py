"""Runs a copy of a model, to see how it behaves where its graph does not say it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest
from indexer.images.input_size import channels_of
from indexer.receptive_field.graph.copies import plain_copy
from indexer.receptive_field.graph.tracer import floating_dtype
from indexer.receptive_field.parts import Place, place_in
from indexer.system.user_code import described

Outputs = dict[str, list[Any]]
"""What each layer returned, once for each time it ran; of a layer that is one call of a module, that call's."""


class Runner:
    """A copy of the model that gives the outputs of some layers.

    Parameters
    ----------
    model : nn.Module
    layers : sequence of str
    size : (int, int)
        Height and width of the input.
    dtype : torch.dtype, optional
        In which the copy computes; by default as its weights are.

    Attributes
    ----------
    calls : dict of str to int
        How often each layer's module ran in the last pass.
    """

    def __init__(
        self, model: nn.Module, layers: Sequence[str], size: tuple[int, int], dtype: torch.dtype | None = None
    ) -> None:
        self.size = size
        self.module = plain_copy(model)
        if dtype is not None:
            self.module.to(dtype)
        self.dtype = dtype or floating_dtype(model)
        self.device = next((p.device for p in self.module.parameters()), torch.device("cpu"))
        self._outputs: Outputs = {layer: [] for layer in layers}
        self.calls = dict.fromkeys(layers, 0)
        for layer, outputs in self._outputs.items():
            # Of nn.Module, because the method of a TorchScript module refuses; the hook runs all the same.
            place = place_in(self.module, layer)
            nn.Module.register_forward_hook(self.module.get_submodule(place.module), self._keep(layer, place, outputs))

    def __call__(self, images: torch.Tensor) -> Outputs:
        """The outputs of each layer, one for each time it ran.

        Raises
        ------
        InvalidRequest
            The model does not take such images, or a module returns no such part.
        """
        for outputs in self._outputs.values():
            outputs.clear()
        self.calls = dict.fromkeys(self._outputs, 0)
        try:
            self.module(images.to(self.device, self.dtype))
        except InvalidRequest:  # a module returns no such part
            raise
        except Exception as error:  # of the model's own code
            (height, width), told = self.size, f"it was given {channels_of(self.size)} channels, and --channels says"
            hint = f"; {told} how many it takes" if "channel" in str(error) else ""
            raise InvalidRequest(
                f"the model does not take images of height {height} and width {width}: {described(error)}{hint}"
            ) from error
        return {layer: list(outputs) for layer, outputs in self._outputs.items()}

    def noise(self, count: int, seed: int) -> torch.Tensor:
        """Images (count, 3, height, width) of normal noise."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, channels_of(self.size), *self.size, generator=generator, dtype=self.dtype)

    def _keep(self, layer: str, place: Place, outputs: list[Any]) -> Any:
        def hook(module: nn.Module, args: Any, returned: Any) -> None:
            number = self.calls[layer]
            self.calls[layer] += 1
            if place.call in (None, number):
                output = place.of(returned)
                # A copy, which nothing behind the layer changes in place.
                outputs.append(output.clone() if isinstance(output, torch.Tensor) else output)

        return hook
