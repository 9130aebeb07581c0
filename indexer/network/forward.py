"""One forward pass for all layers, stopped after the last of them.

1. ``Network(loaded, layers)`` checks the layers and traces their receptive fields.
2. ``network.run(pixels, reduce)`` calls ``reduce(layer, maps)`` while each layer's output is still what it is, and
   returns what that gave. A tensor kept longer may be rewritten by an in-place operation behind the layer. Several
   threads may run one network at once.
3. ``network.maps(pictures)`` is the simple form: maps as float32 arrays.
"""

import math
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image

from indexer.errors import BadActivations, InvalidRequest
from indexer.network.layers import check_layers
from indexer.network.models import LoadedModel
from indexer.network.precision import computing, in_precision
from indexer.network.threads import batch_size
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.trace import trace_layers
from indexer.store.manifest import FLOAT32

R = TypeVar("R")


class _LastLayerDone(Exception):
    """Ends a forward pass; nothing after the last layer is needed."""


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_named(name: str | None) -> torch.device:
    """The device of this name, or without one the best.

    Raises
    ------
    InvalidRequest
        There is none here, or none that computes.
    """
    if not name:
        return best_device()
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError) as error:  # torch built without CUDA asserts
        why = str(error).strip().partition("\n")[0]
        raise InvalidRequest(f"the device {name!r} cannot be used here: {why}") from error
    return device


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
        self._pass = threading.local()  # what the hooks do in this thread: nothing, unless `run` says so; its stream
        self._attach()
        self.shapes = self._probe()

    def _probe(self) -> dict[str, tuple[int, int, int]]:
        height, width = self.model.preprocessing.input_size
        order: list[str] = []
        shapes: dict[str, tuple[int, int, int]] = {}

        def see(layer: str, maps: torch.Tensor) -> None:
            order.append(layer)
            shapes[layer] = tuple(maps.shape[1:])

        self._forward(np.zeros((1, height, width, 3), np.uint8), see)
        for layer in self.traces:
            if order.count(layer) != 1:
                raise InvalidRequest(
                    f"layer {layer!r} runs {order.count(layer)} times in one forward pass, so its output is not one map"
                    "; name the module around it"
                )
        return {layer: shapes[layer] for layer in self.traces}

    @property
    def batch_size(self) -> int:
        """Images a forward pass, as suits the device and what is looked at."""
        return batch_size(self.device, sum(math.prod(shape) for shape in self.shapes.values()))

    def stacked(self, pixels: Sequence[np.ndarray]) -> np.ndarray:
        """Some images' pixels (h, w, 3) uint8 as one batch, in memory from which the network's device copies fast."""
        out = torch.empty((len(pixels), *pixels[0].shape), dtype=torch.uint8, pin_memory=self.device.type == "cuda")
        return np.stack(pixels, out=out.numpy())

    def run(
        self,
        pixels: np.ndarray,
        reduce: Callable[[str, torch.Tensor], R],
        layers: Collection[str] | None = None,
    ) -> dict[str, R]:
        """Send a batch through the network, as far as the last layer that is wanted.

        Parameters
        ----------
        pixels : ndarray (B, h, w, 3) uint8
            As `Preprocessing.pixels` gives them.
        reduce : callable
            Called once a layer with its name and its maps, a tensor (B, C, H, W) on the network's device that is
            valid during the call only.
        layers : collection of str, optional
            Those that are wanted, by default all.

        Returns
        -------
        dict of str to whatever ``reduce`` returned

        Raises
        ------
        BadActivations
            A layer's output is not a map.
        InvalidRequest
            Another layer is wanted than the network is looked at for.
        """
        wanted = self.traces.keys() if layers is None else set(layers)
        if not wanted <= self.traces.keys():
            raise InvalidRequest(f"layers must be some of {', '.join(self.traces)}, not {', '.join(sorted(wanted))}")
        results: dict[str, R] = {}

        def see(layer: str, maps: torch.Tensor) -> None:
            if layer in wanted:
                results[layer] = reduce(layer, maps)
            if len(results) == len(wanted):
                raise _LastLayerDone

        self._forward(pixels, see)
        return results

    def _forward(self, pixels: np.ndarray, see: Callable[[str, torch.Tensor], None]) -> None:
        self._pass.see = see
        try:
            with torch.inference_mode(), computing(self.precision, self.device), self._own_stream():
                batch = torch.from_numpy(pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
                self._module(self.model.preprocessing.normalise(batch))
        except _LastLayerDone:
            pass
        finally:
            del self._pass.see

    def _own_stream(self) -> AbstractContextManager[object]:
        """Within it this thread's work is queued beside that of other threads, where the device has queues."""
        if self.device.type != "cuda":
            return nullcontext()
        if not hasattr(self._pass, "stream"):
            self._pass.stream = torch.cuda.Stream(self.device)
            self._pass.stream.wait_stream(torch.cuda.default_stream(self.device))  # for the weights
        return torch.cuda.stream(self._pass.stream)

    def _attach(self) -> None:
        modules = dict(self._module.named_modules())
        for layer in self.traces:
            modules[layer].register_forward_hook(self._hook_of(layer))

    def _hook_of(self, layer: str) -> Callable[[Any, Any, Any], None]:
        def hook(module: object, inputs: object, output: object) -> None:
            see = getattr(self._pass, "see", None)
            if see is not None:
                see(layer, as_maps(layer, output, self.traces[layer].dims))

        return hook

    def maps(self, pictures: Sequence[Image.Image], layers: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """Maps (B, C, H, W) float32 of these layers, by default of all, for some RGB pictures."""
        pixels = np.stack([self.model.preprocessing.pixels(picture) for picture in pictures])
        own = lambda layer, maps: maps.to("cpu", torch.float32, copy=True).contiguous().numpy()  # noqa: E731
        return self.run(pixels, own, layers)


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
