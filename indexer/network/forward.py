"""One forward pass for all layers, stopped after the last of them.

1. ``Network(loaded, layers)`` checks the layers and traces their receptive fields.
2. ``network.run(pixels, reduce)`` calls ``reduce(layer, maps)`` while each layer's output is still what it is, and
   returns what that gave. A tensor kept longer may be rewritten by an in-place operation behind the layer. Several
   threads may run one network at once.
3. ``network.maps(pictures)`` is the simple form: all maps, as float32 arrays.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from indexer.errors import BadActivations, InvalidRequest
from indexer.network.layers import check_layers
from indexer.network.models import LoadedModel
from indexer.network.precision import computing, in_precision
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.trace import trace_layers
from indexer.store.manifest import FLOAT32

R = TypeVar("R")


class _LastLayerDone(Exception):
    """Ends a forward pass; nothing after the last layer is needed."""


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Network:
    """A model and the layers that are looked at.

    Attributes
    ----------
    model : LoadedModel
        As it was loaded: in float32.
    precision : str
        In which numbers it computes; see `indexer.network.precision`.
    traces : dict of str to LayerTrace
        Receptive field and dimensions of each layer, in the order asked for.
    shapes : dict of str to (int, int, int)
        Channels, height and width of each layer's maps.
    """

    def __init__(
        self,
        model: LoadedModel,
        layers: Sequence[str],
        device: torch.device | None = None,
        precision: str = FLOAT32,
    ) -> None:
        check_layers(model.module, layers)
        self.model = model
        self.precision = precision
        self.device = device or best_device()
        input_size = model.preprocessing.input_size
        self.traces: dict[str, LayerTrace] = trace_layers(model.module, layers, input_size)
        ready = in_precision(model.module, layers, input_size, precision)
        self._module = ready.to(self.device, memory_format=torch.channels_last)
        self._last: str | None = None
        self._pass = threading.local()  # what the hooks do in this thread: nothing, unless `run` says so
        self._attach()
        self.shapes = self._probe()

    def _probe(self) -> dict[str, tuple[int, int, int]]:
        height, width = self.model.preprocessing.input_size
        order: list[str] = []

        def shape(layer: str, maps: torch.Tensor) -> tuple[int, int, int]:
            order.append(layer)
            return tuple(maps.shape[1:])

        shapes = self.run(np.zeros((1, height, width, 3), np.uint8), shape)
        for layer in self.traces:
            if order.count(layer) != 1:
                raise InvalidRequest(
                    f"layer {layer!r} runs {order.count(layer)} times in one forward pass, so its output is not one map"
                    "; name the module around it"
                )
        self._last = order[-1]
        return {layer: shapes[layer] for layer in self.traces}

    def run(self, pixels: np.ndarray, reduce: Callable[[str, torch.Tensor], R]) -> dict[str, R]:
        """Send a batch through the network.

        Parameters
        ----------
        pixels : ndarray (B, h, w, 3) uint8
            As `Preprocessing.pixels` gives them.
        reduce : callable
            Called once a layer with its name and its maps, a tensor (B, C, H, W) on the network's device that is
            valid during the call only.

        Returns
        -------
        dict of str to whatever ``reduce`` returned

        Raises
        ------
        BadActivations
            A layer's output is not a map.
        """
        results: dict[str, R] = {}
        self._pass.see = lambda layer, maps: results.__setitem__(layer, reduce(layer, maps))
        try:
            with torch.inference_mode(), computing(self.precision, self.device):
                batch = torch.from_numpy(pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
                self._module(self.model.preprocessing.normalise(batch))
        except _LastLayerDone:
            pass
        finally:
            del self._pass.see
        return results

    def _attach(self) -> None:
        modules = dict(self._module.named_modules())
        for layer in self.traces:
            modules[layer].register_forward_hook(self._hook_of(layer))

    def _hook_of(self, layer: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: object, inputs: object, output: object) -> None:
            see = getattr(self._pass, "see", None)
            if see is not None:
                see(layer, as_maps(layer, output, self.traces[layer].dims))
                if layer == self._last:
                    raise _LastLayerDone

        return hook

    def maps(self, pictures: Sequence[Image.Image]) -> dict[str, np.ndarray]:
        """Maps (B, C, H, W) float32 of every layer for some RGB pictures."""
        pixels = np.stack([self.model.preprocessing.pixels(picture) for picture in pictures])
        return self.run(pixels, lambda layer, maps: maps.to("cpu", torch.float32, copy=True).contiguous().numpy())


def as_maps(layer: str, output: object, dims: tuple[str, ...]) -> torch.Tensor:
    """A layer's output as maps (B, C, H, W); ``dims`` says what each of its dimensions is.

    Raises
    ------
    BadActivations
        The output is no tensor, or its dimensions are not those of a map or a vector.
    """
    if not isinstance(output, torch.Tensor):
        raise BadActivations(f"layer {layer!r} gives a {type(output).__name__}, not a tensor; name a module inside it")
    if sorted(dims) == ["C", "N"] and output.dim() == 2:
        return output[:, :, None, None]
    if sorted(dims) == ["C", "N", "x", "y"] and output.dim() == 4:
        return output.permute([dims.index(role) for role in ("N", "C", "y", "x")])
    raise BadActivations(
        f"layer {layer!r} gives a tensor of shape {tuple(output.shape)}, which is neither a map (N, C, H, W) nor a "
        "vector (N, C) an image"
    )
