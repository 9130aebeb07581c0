"""One forward pass for all layers, stopped after the last of them.

1. ``Network(loaded, layers)`` checks the layers and traces their receptive fields.
2. ``network.run(pixels, reduce)`` calls ``reduce(layer, maps)`` while each layer's output is still what it is, and
   returns what that gave. A tensor kept longer may be rewritten by an in-place operation behind the layer.
3. ``network.spread(4)`` lets so many threads run it at once, each on a copy of its own; without it they wait for one
   another (`indexer.network.passes.replicas`).
4. ``network.maps(pictures)`` is the simple form: maps as float32 arrays.
"""

import logging
import math
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import nn

from indexer.defaults import FLOAT32
from indexer.errors import BadActivations, InvalidRequest
from indexer.index.encoded_names import base_of
from indexer.network.encoding.encoders import Encoder
from indexer.network.layers import check_layers, whole_outputs
from indexer.network.models import LoadedModel
from indexer.network.noise import noise_pixels
from indexer.network.output_maps import as_maps
from indexer.network.passes.hooked_pass import run_pass
from indexer.network.passes.replicas import Replicas
from indexer.network.passes.threads import batch_size
from indexer.network.precision import computing, in_precision
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.layout import Layout
from indexer.receptive_field.trace import trace_layers

R = TypeVar("R")
log = logging.getLogger(__name__)


def best_device() -> torch.device:
    """The GPU where there is one, the CPU where there is none."""
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
    modules : list of str
        The modules, or parts of what they return, that are seen: layers, and those that encoded layers are made of.
    module_traces : dict of str to LayerTrace
    own_layers : list of str
        The layers that are all that a module of the network returns, in the order asked for.
    encoders : dict of str to Encoder
        Those of the layers that a dictionary makes of another layer's maps, by the name of the encoded layer.
    kept : dict
        What others work out from the network, by keys of their own, and keep for as long as it is.
    """

    def __init__(
        self,
        model: LoadedModel,
        layers: Sequence[str],
        device: torch.device | None = None,
        precision: str = FLOAT32,
        layouts: Mapping[str, Layout] | None = None,
        encoders: Mapping[str, Encoder] | None = None,
    ) -> None:
        self.encoders = dict(encoders or {})
        self.modules = list(dict.fromkeys(base_of(name) if name in self.encoders else name for name in layers))
        check_layers(model.module, self.modules)
        self.model = model
        self.precision = precision
        self.device = device or best_device()
        input_size = model.preprocessing.input_size
        self.module_traces = trace_layers(model.module, self.modules, input_size, layouts)
        self.traces: dict[str, LayerTrace] = {name: self._trace(name) for name in layers}
        self.own_layers = whole_outputs(model.module, [name for name in layers if name not in self.encoders])
        ready = in_precision(model.module, self.modules, input_size, precision)
        on_device = ready.to(self.device).to(memory_format=torch.channels_last)
        self._replicas = Replicas(on_device)
        self.encoders = {name: encoder.to(self.device) for name, encoder in self.encoders.items()}
        self._streams = threading.local()
        self.kept: dict[object, Any] = {}
        self.shapes = self._probe()

    def _trace(self, layer: str) -> LayerTrace:
        """The trace of a layer; the cells of an encoded layer are those of the layer that it is made of."""
        if layer in self.encoders:
            return replace(self.module_traces[base_of(layer)], dims=("N", "C", "y", "x"), layout=None)
        return self.module_traces[layer]

    def _probe(self) -> dict[str, tuple[int, int, int]]:
        order: list[str] = []
        shapes: dict[str, tuple[int, int, int]] = {}

        def see(layer: str, maps: torch.Tensor) -> bool:
            order.append(layer)
            channels, height, width = maps.shape[1:]
            shapes[layer] = (channels, height, width)
            return False

        size = self.model.preprocessing.input_size
        self._forward(np.zeros((1, *size, size.channels), np.uint8), see)
        for layer in self.traces:
            if order.count(layer) != 1:
                raise InvalidRequest(
                    f"layer {layer!r} runs {order.count(layer)} times in one forward pass, so its output is not one map"
                    "; name the module around it"
                )
        return {layer: shapes[layer] for layer in self.traces}

    @property
    def at_once(self) -> int:
        """How many passes may run at once."""
        return self._replicas.count

    def spread(self, count: int) -> int:
        """Let so many passes run at once, if copies of the network can be told apart; gives how many may."""
        return self._replicas.spread(count)

    def one_at_a_time(self, reason: str) -> None:
        """Let passes wait for one another from now on; the log says why. No pass may run meanwhile."""
        self._replicas.unite(reason)

    @property
    def batch_size(self) -> int:
        """Images a forward pass, as suits the device and what is looked at."""
        if not self._takes_batches():
            log.warning("unitscope: this network takes one image at a time, so batches have one image")
            return 1
        return batch_size(self.device, sum(math.prod(shape) for shape in self.shapes.values()))

    def _takes_batches(self) -> bool:
        """Whether two images pass where one did."""
        try:
            self.run(self.noise(2), lambda layer, maps: None)
        except (BadActivations, InvalidRequest):
            return False
        return True

    def noise(self, images: int) -> np.ndarray:
        """Pixels (images, h, w, 3) uint8 that are the same each time, for a pass that only tries the network."""
        return noise_pixels(images, self.model.preprocessing.input_size)

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
            A layer's output is not a map of each image, a layer did not run, or the network's own code failed.
        InvalidRequest
            Another layer is wanted than the network is looked at for.
        """
        wanted = self.traces.keys() if layers is None else set(layers)
        if not wanted <= self.traces.keys():
            raise InvalidRequest(f"layers must be some of {', '.join(self.traces)}, not {', '.join(sorted(wanted))}")
        results: dict[str, R] = {}

        def see(layer: str, maps: torch.Tensor) -> bool:
            if layer in wanted and layer not in results:
                self._check_shape(layer, maps, len(pixels))
                results[layer] = reduce(layer, maps)
            return len(results) == len(wanted)

        self._forward(pixels, see)
        for layer in wanted:
            if layer not in results:
                raise BadActivations(f"layer {layer!r} does not run for every image; choose one that always does")
        return results

    def _check_shape(self, layer: str, maps: torch.Tensor, images: int) -> None:
        if len(maps) != images:
            raise BadActivations(
                f"layer {layer!r} gives {len(maps)} rows for a batch of {images} images, so its rows are not images; "
                "--batch-size 1 may help, or another layer"
            )
        if tuple(maps.shape[1:]) != self.shapes[layer]:
            raise BadActivations(
                f"layer {layer!r} gives maps of another shape for other images: {tuple(maps.shape[1:])} here, "
                f"{self.shapes[layer]} at first; name a layer of one shape"
            )

    def to_the_end(self, pixels: np.ndarray) -> tuple[dict[str, torch.Tensor], object]:
        """Copies of all layers' maps (B, C, H, W), and what the network's ``forward`` returns.

        Raises
        ------
        BadActivations, UserCodeFailed
        """
        maps: dict[str, torch.Tensor] = {}

        def keep(layer: str, output: torch.Tensor) -> bool:
            maps.setdefault(layer, output.clone())
            return False

        returned = self._forward(pixels, keep)
        return maps, returned

    def _forward(self, pixels: np.ndarray, see: Callable[[str, torch.Tensor], bool]) -> object:
        """Run a pass; ``see`` gets each layer's maps and says whether they were the last that are wanted."""

        def seen(module: str, output: object) -> bool:
            maps = as_maps(module, output, self.module_traces[module])
            ends = [see(layer, made) for layer, made in self._layers_of(module, maps)]
            return any(ends)

        with self.borrowed() as module, torch.inference_mode():
            return run_pass(module, self.normalised(pixels), self.modules, seen)

    def _layers_of(self, module: str, maps: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
        """The layers that are looked at of a module's maps: themselves, and what dictionaries make of them."""
        if module in self.traces:
            yield module, maps
        for layer, encoder in self.encoders.items():
            if base_of(layer) == module:
                yield layer, encoder(maps)

    @contextmanager
    def borrowed(self) -> Iterator[nn.Module]:
        """The module, or a copy, for one pass of this thread in the network's precision; waits until one is free."""
        with self._replicas.borrowed() as module, computing(self.precision, self.device), self._own_stream():
            yield module

    def normalised(self, pixels: np.ndarray) -> torch.Tensor:
        """What the module takes, (B, 3, h, w) float32 on its device, for pixels (B, h, w, 3) uint8."""
        batch = torch.from_numpy(pixels).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return self.model.preprocessing.normalise(batch)

    def _own_stream(self) -> AbstractContextManager[object]:
        """Within it this thread's work is queued beside that of other threads, where the device has queues."""
        if self.device.type != "cuda":
            return nullcontext()
        if not hasattr(self._streams, "own"):
            self._streams.own = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
            self._streams.own.wait_stream(torch.cuda.default_stream(self.device))  # for the weights
        return torch.cuda.stream(self._streams.own)

    def maps(self, pictures: Sequence[Image.Image], layers: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """Maps (B, C, H, W) float32 of these layers, by default of all, for some RGB pictures."""
        return self.maps_of([self.model.preprocessing.pixels(picture) for picture in pictures], layers)

    def maps_of(self, pixels: Sequence[np.ndarray], layers: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """As `maps`, for pixels (h, w, 3) uint8 as `Preprocessing.pixels` gives them."""
        own = lambda layer, maps: maps.to("cpu", torch.float32, copy=True).contiguous().numpy()  # noqa: E731
        return self.run(np.stack(pixels), own, layers)
