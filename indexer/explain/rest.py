"""The rest of a network: what lies behind a layer, run again with that layer's maps changed.

1. ``rest = rest_behind(network, layer, output)`` decides from where it runs: from the maps of the layer, if the layer
   is a cut of the traced graph (every path from the image to the output goes through it); else from the maps of the
   nearest looked-at layer before it that is one; else from the image. ``rest.start`` and ``rest.reason`` say so.
2. ``rest.source(pixels)`` is what it runs from: maps of ``rest.start``, or the pixels themselves.
3. ``rest.outputs(source, change)`` are the network's outputs with the maps of the layer changed.
4. ``rest.contributions(source, chosen)`` are gradients times activations.

A rest that starts from maps is compared, before it is used, with whole passes of the network over images of noise, with
and without a change of the layer. If they differ, the rest starts from the image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from indexer.defaults import FLOAT32
from indexer.errors import InvalidRequest, UnitscopeError
from indexer.explain.graph_rest import GraphRest, position
from indexer.explain.whole_pass import MapChange, changed_output, whole_pass
from indexer.index.encoded_names import base_of
from indexer.network.forward import Network
from indexer.network.output_maps import as_maps
from indexer.receptive_field.graph.tracer import LayerTracer, traced
from indexer.receptive_field.maps import output_of
from indexer.system.user_code import of_user

ROWS: Final = 8
"""Images of one pass on a CPU; see `indexer.network.passes.threads.batch_size`."""
_ROWS_ON_GPU: Final = 64
_ROUNDING: Final = {"float32": 1e-4, "float32-folded": 1e-4, "tf32": 2e-2, "bfloat16": 1e-1}
"""How far two ways of computing the same outputs may part, as a share of their largest."""


@dataclass(frozen=True)
class Contributions:
    """What one backward pass tells of some images.

    Attributes
    ----------
    outputs : ndarray (B, O) float32
    maps : ndarray (B, C, H, W) float32
        The activations of the layer.
    shares : ndarray (B, C, H, W) float32
        Gradient of the chosen value times activation, cell by cell.
    """

    outputs: np.ndarray
    maps: np.ndarray
    shares: np.ndarray


class Rest:
    """The rest of a network behind a layer.

    Attributes
    ----------
    layer, output : str
        The layer that is changed, and the one whose values are the network's outputs.
    start : str or None
        The layer from whose maps it runs; None where it runs from the image.
    reason : str
        Why it does not start at ``layer``; empty where it does.
    rows : int
        The most images of one call.
    """

    def __init__(self, network: Network, layer: str, output: str) -> None:
        self.network, self.layer, self.output = network, layer, output
        self.start: str | None = None
        self.reason = ""
        self.rows = 1
        self._rounding = _ROUNDING[network.precision]

    @property
    def ran(self) -> str:
        """From where it runs, in words."""
        way = "from the image" if self.start is None else f"from the maps of {self.start}"
        return f"{way}: {self.reason}" if self.reason else way

    def source(self, pixels: np.ndarray) -> np.ndarray:
        """What it runs from, exactly as the network computes it for each of some images.

        Parameters
        ----------
        pixels : ndarray (B, h, w, 3) uint8

        Returns
        -------
        ndarray (B, C, H, W) float32, or the pixels
        """
        if self.start is None:
            return pixels
        return self.network.run(pixels, lambda layer, maps: _array(maps), [self.start])[self.start]

    def outputs(self, source: np.ndarray, change: MapChange | None = None) -> np.ndarray:
        """The outputs (B, O) float32 with the layer's maps changed.

        Parameters
        ----------
        source : ndarray
            At most `rows` images, as `source` gives them.
        change : callable, optional
            From maps (B, C, H, W) to those that take their place.

        Raises
        ------
        UserCodeFailed, BadActivations
        """
        with torch.inference_mode():
            return _array(self._pass(source, change))

    def contributions(self, source: np.ndarray, chosen: Callable[[torch.Tensor], torch.Tensor]) -> Contributions:
        """Gradient times activation at the layer (Ancona et al. 2018, "Towards better understanding of gradient-based
        attribution methods for deep neural networks").

        Parameters
        ----------
        chosen : callable
            From outputs (B, O) to the value (B,) that is explained.

        Raises
        ------
        InvalidRequest
            No gradient comes back to the layer.
        UserCodeFailed, BadActivations
        """
        outputs, maps, gradient = self.gradients(source, chosen)
        return Contributions(_array(outputs), _array(maps), _array(maps * gradient))

    def gradients(
        self, source: np.ndarray, chosen: Callable[[torch.Tensor], torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Outputs (B, O), maps (B, C, H, W) of the layer, and the gradient of the chosen value at these.

        Raises
        ------
        As `contributions`.
        """
        leaves: list[torch.Tensor] = []

        def hold(maps: torch.Tensor) -> torch.Tensor:
            leaves[:] = [maps.detach().clone().requires_grad_()]
            return leaves[0].clone()  # what follows may work in place

        with torch.enable_grad(), of_user("the network, asked for gradients,"):
            outputs = self._pass(source, hold)
            value = chosen(outputs).sum()
            gradient = torch.autograd.grad(value, leaves, allow_unused=True)[0] if value.requires_grad else None
        if gradient is None:
            raise InvalidRequest(
                f"no gradient comes back from the output {self.output} to layer {self.layer}: nothing behind the layer "
                "depends on it, or the network's code cuts the gradient (detach, no_grad); name another layer"
            )
        return outputs, leaves[0].detach(), gradient

    def active(self, source: np.ndarray, neurons: Sequence[int]) -> list[int]:
        """Numbers of those of some neurons that are not 0 all over an image, where the source (1, …) tells; or all."""
        if self.start != self.layer:
            return list(range(len(neurons)))
        return [number for number, neuron in enumerate(neurons) if source[0, neuron].any()]

    def _pass(self, source: np.ndarray, change: MapChange | None) -> torch.Tensor:
        """The outputs (B, O) as a tensor on the network's device."""
        batch = self.network.normalised(source)
        return whole_pass(self.network, batch, self.layer, self.output, change)[:, :, 0, 0]

    def prove(self) -> None:
        """Compare with plain passes of single images, and find out how many images one call may have.

        Raises
        ------
        UnitscopeError
            The network does not take even one image so.
        """
        pixels = self.network.noise(2)
        alone = np.concatenate([self.outputs(row[None]) for row in pixels])
        try:
            if self._same(self.outputs(pixels), alone):
                self.rows = rows_of(self.network)
        except UnitscopeError:  # it takes one image at a time
            pass

    def _same(self, mine: np.ndarray, theirs: np.ndarray) -> bool:
        room = self._rounding * float(np.abs(theirs).max(initial=0)) + np.finfo(np.float32).tiny
        return mine.shape == theirs.shape and bool((np.abs(mine - theirs) <= room).all())


class RestFromMaps(Rest):
    """A rest that runs from the maps of a layer, without the modules before it.

    Parameters
    ----------
    images : int or None
        Where the network's code computes with the number of images, the number that the graph was traced with: every
        pass has so many.
    """

    def __init__(
        self, network: Network, start: str, layer: str, output: str, graph: GraphRest, images: int | None
    ) -> None:
        super().__init__(network, layer, output)
        self.start, self._graph, self._images = start, graph, images
        self.rows = images or rows_of(network)

    def _pass(self, source: np.ndarray, change: MapChange | None) -> torch.Tensor:
        rows, trace = len(source), self.network.traces[self.output]
        filled = source if self._images is None else source[np.minimum(np.arange(self._images), rows - 1)]
        given = output_of(torch.from_numpy(filled).to(self.network.device), self.network.traces[self.start or ""])
        if given is None:
            raise InvalidRequest(f"the maps of layer {self.start} do not hold all of its output")
        # A copy, as what follows may work in place; in the memory format of the network's own passes.
        given = given.clone(memory_format=torch.channels_last if given.dim() == 4 else torch.contiguous_format)

        def changed(returned: torch.Tensor) -> torch.Tensor:
            assert change is not None
            return changed_output(self.network, self.layer, returned, lambda maps: _of_first(change, maps, rows))

        with self.network.borrowed() as module, of_user(f"the network, run from layer {self.start},"):
            returned = self._graph.run(module, given, None if change is None else changed)
        return as_maps(self.output, returned, trace)[:rows, :, 0, 0]

    def prove(self) -> None:
        """Compare with whole passes over noise, as the network is and with the layer changed.

        Raises
        ------
        InvalidRequest
            They differ.
        """
        whole = Rest(self.network, self.layer, self.output)
        pixels = self.network.noise(min(3, self.rows))
        source = self.source(pixels)
        for change in (None, _stirred):
            theirs = np.concatenate([whole.outputs(row[None], change) for row in pixels])
            if not self._same(self.outputs(source, change), theirs):
                raise InvalidRequest("the traced graph gives other outputs than the network")


def _of_first(change: MapChange, maps: torch.Tensor, rows: int) -> torch.Tensor:
    """A change of the first rows of some maps."""
    if rows == len(maps):
        return change(maps)
    return torch.cat([change(maps[:rows]), maps[rows:]])


def _stirred(maps: torch.Tensor) -> torch.Tensor:
    """The maps, each value scaled by a number that is the same each time, and more, so that dead neurons count too."""
    generator = torch.Generator().manual_seed(0)
    factors = 2 * torch.rand(maps.shape[1:], generator=generator).to(maps.device, maps.dtype)
    return maps * factors + factors * maps.abs().amax((1, 2, 3), keepdim=True) / 4


def rows_of(network: Network) -> int:
    """How many images one pass behind a layer has."""
    return ROWS if network.device.type == "cpu" else _ROWS_ON_GPU


def rest_behind(network: Network, layer: str, output: str) -> Rest:
    """The rest of a network behind a layer; made once for a network and kept with it.

    No other thread may run a model meanwhile, because torch.fx replaces `nn.Module.__call__` while it traces.

    Raises
    ------
    InvalidRequest
        The network is not looked at for these layers.
    UserCodeFailed, BadActivations
        It cannot be run to the output.
    """
    for name in (layer, output):
        if name not in network.own_layers:
            others = ", a part of an output" if name in network.traces else ""
            raise InvalidRequest(f"layer must be one of {', '.join(network.own_layers)}, not {name!r}{others}")
    key = (rest_behind, layer, output)
    if key not in network.kept:
        network.kept[key] = _found(network, layer, output)
    rest: Rest = network.kept[key]
    return rest


def _found(network: Network, layer: str, output: str) -> Rest:
    reason = "the network cannot be traced"
    for images in (None, rows_of(network)):
        # Two images, because code that computes with a batch of one may mean it for a batch of any size.
        tracer = traced(network.model.module, network.model.preprocessing.input_size, images or 2)
        if tracer is None or min(position(tracer, name) for name in (layer, output)) < 0:
            continue
        rest, reason = _from_graph(network, tracer, layer, output, images)
        if rest is not None:
            return rest
    whole = Rest(network, layer, output)
    whole.reason = reason
    whole.prove()
    return whole


def _from_graph(
    network: Network, tracer: LayerTracer, layer: str, output: str, images: int | None
) -> tuple[Rest | None, str]:
    """The rest that starts nearest before the layer and stands the proof; or None and why there is none."""
    places = {name: position(tracer, name) for name in network.own_layers}
    before = [name for name, place in places.items() if 0 <= place < places[layer]]
    reason = f"paths of the network lead past {layer}"
    for start in [layer, *sorted(before, key=lambda name: -places[name])]:
        graph = GraphRest(tracer, start, layer, output)
        if not graph.is_cut:
            continue
        rest = RestFromMaps(network, start, layer, output, graph, images)
        try:
            rest.prove()
        except UnitscopeError as error:
            reason = str(error)
            continue
        rest.reason = "" if start == layer else reason
        return rest, ""
    return None, reason


def in_float32(network: Network) -> Network:
    """The network, computing in float32 whatever its index was made with."""
    if network.precision == FLOAT32:
        return network
    if in_float32 not in network.kept:
        own = network.own_layers
        layouts = {name: layout for name in own if (layout := network.traces[name].layout)}
        encoders = {name: encoder for name, encoder in network.encoders.items() if base_of(name) in own}
        network.kept[in_float32] = Network(network.model, [*own, *encoders], network.device, FLOAT32, layouts, encoders)
    exact: Network = network.kept[in_float32]
    return exact


def _array(values: torch.Tensor) -> np.ndarray:
    return values.detach().to("cpu", torch.float32, copy=True).contiguous().numpy()
