"""Which of the layers that are looked at holds what the network returns."""

import torch

from indexer.errors import UserCodeFailed
from indexer.network.forward import Network


def output_layer(network: Network) -> str | None:
    """The last layer whose output is what ``forward`` returns for an image of noise, value by value.

    Returns
    -------
    str or None
        None where no layer's output is returned, or something other than a tensor.
    """
    try:
        maps, returned = network.to_the_end(network.noise(1))
    except UserCodeFailed:  # code behind the last layer; indexing stops before it, and so may still work
        return None
    if not isinstance(returned, torch.Tensor):
        return None
    same = [layer for layer, output in maps.items() if is_same(output, returned)]
    return same[-1] if same else None


def is_same(output: torch.Tensor, returned: torch.Tensor) -> bool:
    """Whether two tensors hold equal values in equal order, be it as (1, C, 1, 1) and (1, C); not if they hold none."""
    return output.numel() == returned.numel() > 0 and bool((output.flatten() == returned.flatten()).all())
