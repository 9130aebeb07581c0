"""Which modules of a model give what its ``forward`` returns, and what it costs to run as far as that.

One pass over an image of noise, with a hook on every module: what is returned is compared value by value, so nothing is
told from a width. The cost is counted in the floating-point operations of convolutions and products of matrices
(`torch.utils.flop_counter`), which are the same each time and on every machine; so an interrupted build goes on with
the layers that it began with.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from indexer.defaults import OUTPUT_AS_LISTED, OUTPUT_IF_CHEAP
from indexer.errors import InvalidRequest, UserCodeFailed
from indexer.network.layers import check_layers
from indexer.network.models import LoadedModel
from indexer.network.noise import noise_pixels
from indexer.network.output import is_same
from indexer.receptive_field.parts import place_of
from indexer.system.compiler import kept_out
from indexer.system.user_code import of_user

_CHEAP = 0.05
"""A rest of the network that costs less, of what is computed anyway, is run for its answers."""

_MOST = 1 << 20
"""Values of an output that is looked at; a larger one is a map, and no answer."""


@dataclass(frozen=True)
class Answering:
    """What one pass of a model to its end tells.

    Attributes
    ----------
    modules : list of str
        The modules whose output is what is returned; those that contain others come behind these.
    fault : str
        Why there is none; else empty.
    flops : dict of str to int
        Operations until each module has ended.
    total : int
        Operations of the whole pass.
    """

    modules: list[str]
    fault: str
    flops: dict[str, int]
    total: int

    def share_behind(self, layers: Sequence[str]) -> float:
        """What the model does behind the last of some layers, as a share of what it does until there."""
        places = [place_of(layer, self.flops) for layer in layers]
        until = max((self.flops[place.module] for place in places if place), default=0)
        return (self.total - until) / until if until else 0.0 if not self.total else float("inf")


def answering(model: LoadedModel) -> Answering:
    """Run a model on one image of noise, to its end."""
    from torch.utils.flop_counter import FlopCounterMode  # a build with --output none does without it

    outputs: dict[str, Any] = {}
    flops: dict[str, int] = {}

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: Any) -> None:
            is_known = name in outputs  # a module that runs twice is no layer
            looked_at = isinstance(output, torch.Tensor) and output.numel() <= _MOST and not is_known
            outputs[name] = output.clone() if looked_at else None  # a copy, as what follows may rewrite it
            flops[name] = counter.get_total_flops()

        return hook

    pixels = torch.from_numpy(noise_pixels(1, model.preprocessing.input_size))
    image = model.preprocessing.normalise(pixels.permute(0, 3, 1, 2))
    counter = FlopCounterMode(display=False)
    named = [(name, module) for name, module in model.module.named_modules() if name]
    handles = [nn.Module.register_forward_hook(module, note(name)) for name, module in named]
    try:
        with kept_out(), torch.inference_mode(), of_user("the network, run to its end,"), counter:
            returned = model.module(image)
    except UserCodeFailed as error:  # code behind the last layer; indexing stops before it, and so may still work
        return Answering([], str(error), {}, 0)
    finally:
        for handle in handles:
            handle.remove()
    if not isinstance(returned, torch.Tensor):
        return Answering([], f"the network returns a {type(returned).__name__}, not a tensor", {}, 0)
    if returned.dim() < 2 or returned.numel() != returned.shape[1]:
        return Answering([], f"the network returns a tensor of shape {tuple(returned.shape)} for one image", {}, 0)
    same = [name for name, output in outputs.items() if output is not None and is_same(output, returned)]
    fault = "" if same else "no module's output is what the network returns: a function follows the last module"
    return Answering(same, fault, flops, counter.get_total_flops())


def with_output(model: LoadedModel, layers: list[str], output: str, say: Callable[[str], None]) -> list[str]:
    """Layers, and the one that holds the network's output where it is wanted and not among them.

    Parameters
    ----------
    output : str
        Its name; or `OUTPUT_IF_CHEAP`, or `OUTPUT_AS_LISTED`.
    say : callable
        Is told what was added or left out, and what it costs.

    Raises
    ------
    InvalidRequest
        The named layer does not hold the output.
    """
    check_layers(model.module, layers)
    if output == OUTPUT_AS_LISTED:
        return layers
    found = answering(model)
    if output != OUTPUT_IF_CHEAP:
        _check(found, output)
        return layers if output in layers else [*layers, output]
    if not found.modules or set(layers) & set(found.modules):
        return layers
    share, layer = found.share_behind(layers), found.modules[0]
    cost = f"the network's output, {layer}, costs {share:.1%} more operations than {layers[-1]} does"
    if share < _CHEAP:
        say(f"{cost}, and is kept too; --output {OUTPUT_AS_LISTED} leaves it out")
        return [*layers, layer]
    say(f"{cost}, and is not kept, so its answers are not known; --output {layer} keeps it")
    return layers


def _check(found: Answering, layer: str) -> None:
    if found.fault:
        raise InvalidRequest(f"layer {layer!r} cannot hold the network's output: {found.fault}")
    if layer not in found.modules:
        raise InvalidRequest(
            f"layer {layer!r} does not give what the network returns; {', '.join(map(repr, found.modules))} "
            f"{'do' if len(found.modules) > 1 else 'does'}"
        )
