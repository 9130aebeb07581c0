"""Which input pixels make one cell of a neuron what it is: captum's methods, on a copy of the network.

1. ``unit = unit_of(network, layer, neuron, y, x)`` is the cell as a function of the network's input.
2. ``attribute(unit, pixels, method, field)`` gives a signed number for every channel of every input pixel.
"""

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import nn

from indexer.defaults import METHODS, Method
from indexer.errors import InvalidRequest, NotInstalled
from indexer.images.geometry import Box
from indexer.index.encoded_names import base_of
from indexer.network.forward import Network
from indexer.network.output_maps import as_maps
from indexer.receptive_field.graph.copies import plain_copy
from indexer.receptive_field.parts import place_in
from indexer.system.user_code import of_user

EXTRA = "saliency"
STEPS = 32
"""Steps of integrated gradients, on the straight line from the mean colour (0 after normalising) to the image."""
WINDOWS = 6
"""Occlusion covers a sixth of each side of the receptive field at a time with the mean colour, in half steps."""
_BATCH = 16


class UnitModule(nn.Module):
    """One cell of one neuron: normalised input (B, 3, h, w) -> activations (B,).

    Attributes
    ----------
    model : nn.Module
        A copy of the network, in float32 whatever the index has, in which nothing works in place, as the hooks of
        guided backpropagation need it.
    """

    def __init__(self, network: Network, layer: str, neuron: int, y: int, x: int) -> None:
        super().__init__()
        self.network = (network.model.preprocessing, network.device)
        self.model = plain_copy(network.model.module).to(network.device)
        for module in self.model.modules():
            if getattr(module, "inplace", False):
                module.__dict__["inplace"] = False
        self._encoder = network.encoders.get(layer)
        self._layer = base_of(layer) if self._encoder else layer
        self._trace = network.module_traces[self._layer]
        self._cell = (neuron, y, x)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        kept: list[torch.Tensor] = []

        def keep(module: nn.Module, inputs: object, output: object) -> None:
            if not kept:  # a network that catches what ends it may come here again
                maps = as_maps(self._layer, place.of(output), self._trace)
                kept.append((self._encoder(maps) if self._encoder else maps)[:, *self._cell])
            raise _Reached

        place = place_in(self.model, self._layer)
        handle = nn.Module.register_forward_hook(self.model.get_submodule(place.module), keep)
        try:
            self.model(batch)
        except _Reached:
            pass
        finally:
            handle.remove()
        return kept[0]


class _Reached(BaseException):
    """Ends a forward pass at the layer; networks catch exceptions of the common kind."""


def unit_of(network: Network, layer: str, neuron: int, y: int, x: int) -> UnitModule:
    """A cell of a neuron as a function of the input; the network itself is left as it is."""
    return UnitModule(network, layer, neuron, y, x)


def attribute(unit: UnitModule, pixels: np.ndarray, method: Method, field: Box | None = None) -> np.ndarray:
    """What each input value adds to a cell's activation, as the method has it.

    Parameters
    ----------
    pixels : ndarray (h, w, 3) uint8
        As `Preprocessing.pixels` gives them.
    method : str
        "gradient": Simonyan et al. 2014. "guided-backprop": Springenberg et al. 2015; only ReLUs that are modules are
        guided. "integrated-gradients": Sundararajan et al. 2017. "occlusion": Zeiler and Fergus 2014.
    field : Box, optional
        The cell's receptive field in input pixels, the only part that is occluded; by default the whole input.

    Returns
    -------
    ndarray (3, h, w) float32

    Raises
    ------
    InvalidRequest
        There is no such method, or nothing to guide.
    UserCodeFailed
        The network's own code raised something, forwards or backwards.
    NotInstalled
        captum is missing.
    """
    captum = check_method(method)
    if method == "guided-backprop" and not any(isinstance(module, nn.ReLU) for module in unit.model.modules()):
        raise InvalidRequest("guided-backprop changes ReLU modules and this network has none; method=gradient works")
    preprocessing, device = unit.network
    batch = preprocessing.normalise(torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1)[None])
    with of_user(f"the network, asked for method={method},"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting backward hooks on ReLU")
        if method == "occlusion":
            found = _occlude(captum, unit, batch, field)
        else:
            batch.requires_grad_()
            found = {
                "gradient": lambda: captum.Saliency(unit).attribute(batch, abs=False),
                "guided-backprop": lambda: captum.GuidedBackprop(unit).attribute(batch),
                "integrated-gradients": lambda: captum.IntegratedGradients(unit).attribute(
                    batch, n_steps=STEPS, internal_batch_size=_BATCH
                ),
            }[method]()
    return found[0].detach().to("cpu", torch.float32).numpy()


def check_method(method: str) -> Any:
    """captum's methods, if ``method`` can be asked for here.

    Raises
    ------
    InvalidRequest, NotInstalled
    """
    if method not in METHODS:
        raise InvalidRequest(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    try:
        import captum.attr
    except ImportError as error:
        raise NotInstalled(
            f"this needs captum, which is not installed: install the extra unitscope[{EXTRA}]"
        ) from error
    return captum.attr


def _occlude(captum: Any, unit: UnitModule, batch: torch.Tensor, field: Box | None) -> torch.Tensor:
    """Slide a window over the receptive field alone: nothing outside it matters, and it may be a small part."""
    box = field or Box(0, 0, batch.shape[3], batch.shape[2])
    rows, columns = slice(box.top, box.bottom), slice(box.left, box.right)

    def of_part(part: torch.Tensor) -> torch.Tensor:
        whole = batch.repeat(len(part), 1, 1, 1)
        whole[:, :, rows, columns] = part
        activations: torch.Tensor = unit(whole)
        return activations

    window = tuple(math.ceil(side / WINDOWS) for side in (box.height, box.width))
    scores = torch.zeros_like(batch)
    with torch.no_grad():
        scores[:, :, rows, columns] = captum.Occlusion(of_part).attribute(
            batch[:, :, rows, columns].contiguous(),
            sliding_window_shapes=(batch.shape[1], *window),
            strides=(batch.shape[1], *(max(1, side // 2) for side in window)),
            perturbations_per_eval=_BATCH,
        )
    return scores
