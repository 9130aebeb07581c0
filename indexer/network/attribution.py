"""Which input pixels make one cell of a neuron what it is: captum's methods, on a copy of the network.

1. ``unit = unit_of(network, layer, neuron, y, x)`` (`indexer.network.differentiable`) is the cell as a function of the
   network's input.
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
from indexer.network.differentiable import UnitModule
from indexer.system.user_code import of_user

EXTRA = "saliency"
STEPS = 32
"""Steps of integrated gradients, on the straight line from the mean colour (0 after normalising) to the image."""
WINDOWS = 6
"""Occlusion covers a sixth of each side of the receptive field at a time with the mean colour, in half steps."""
_BATCH = 16


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
    if method == "guided-backprop" and not any(isinstance(module, nn.ReLU) for module in unit.layer.model.modules()):
        raise InvalidRequest("guided-backprop changes ReLU modules and this network has none; method=gradient works")
    preprocessing, device = unit.layer.network
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
