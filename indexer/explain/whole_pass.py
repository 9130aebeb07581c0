"""A whole forward pass in which the output of one layer is replaced."""

from collections.abc import Callable

import torch
from torch import nn

from indexer.errors import BadActivations
from indexer.network.forward import Network
from indexer.network.output_maps import as_maps
from indexer.network.passes.hooked_pass import run_pass
from indexer.receptive_field.maps import output_of
from indexer.receptive_field.parts import place_in

MapChange = Callable[[torch.Tensor], torch.Tensor]
"""From a layer's maps (B, C, H, W) to a new tensor that takes their place; it leaves its argument as it is."""


def whole_pass(
    network: Network, batch: torch.Tensor, layer: str, output: str, change: MapChange | None = None
) -> torch.Tensor:
    """The maps (B, C, H, W) of ``output`` for a normalised batch, where a change may take the place of ``layer``'s.

    Raises
    ------
    UserCodeFailed, BadActivations
    """
    kept: list[torch.Tensor] = []

    def see(name: str, returned: object) -> bool:
        kept.append(as_maps(name, returned, network.traces[name]).clone())
        return True

    def replace(module: nn.Module, inputs: object, returned: object) -> object:
        return None if change is None or not is_wanted() else changed_output(network, layer, returned, change)

    with network.borrowed() as module:
        place = place_in(module, layer)
        is_wanted = place.counted()
        # Before those of `run_pass`, so that a change of the output itself is seen.
        handle = nn.Module.register_forward_hook(module.get_submodule(place.module), replace)
        try:
            run_pass(module, batch, [output], see)
        finally:
            handle.remove()
    return kept[0]


def changed_output(network: Network, layer: str, returned: object, change: MapChange) -> torch.Tensor:
    """What a layer returns instead of this, where its maps are changed; the rest of it stays.

    Raises
    ------
    BadActivations
    """
    trace = network.traces[layer]
    changed = change(as_maps(layer, returned, trace))
    assert isinstance(returned, torch.Tensor)
    if returned.is_quantized:
        raise BadActivations(f"layer {layer!r} gives quantized numbers, which cannot be changed; name another")
    whole = output_of(changed, trace)
    if whole is not None:
        return whole
    replaced = returned.clone()
    as_maps(layer, replaced, trace).copy_(changed)  # its maps are a view of it
    return replaced
