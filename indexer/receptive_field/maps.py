"""A layer's output as maps."""

import torch

from indexer.receptive_field.field import LayerTrace


def maps_of(output: object, trace: LayerTrace) -> torch.Tensor | None:
    """The output as maps (B, C, H, W), where its dimensions are known to be those of maps or vectors.

    Tokens are maps only where a layout says how many rows and columns they are.
    """
    dims = list(trace.dims)
    if not isinstance(output, torch.Tensor) or output.dim() != len(dims):
        return None
    match sorted(dims):
        case ["C", "N"]:
            return output.permute([dims.index(role) for role in "NC"])[:, :, None, None]
        case ["C", "N", "x", "y"]:
            return output.permute([dims.index(role) for role in "NCyx"])
        case ["C", "N", "token"] if trace.layout is not None and trace.layout.misfit(output.shape) is None:
            layout = trace.layout
            tokens = output[:, layout.prefix :]
            return tokens.reshape(len(output), layout.rows, layout.columns, output.shape[2]).permute(0, 3, 1, 2)
    return None


def output_of(maps: torch.Tensor, trace: LayerTrace) -> torch.Tensor | None:
    """The inverse of `maps_of`: a layer's output whose maps (B, C, H, W) are these.

    None where the maps do not hold all of it, as where a layout leaves out tokens that come before.
    """
    dims = list(trace.dims)
    match sorted(dims):
        case ["C", "N"]:
            return maps[:, :, 0, 0].permute(["NC".index(role) for role in dims])
        case ["C", "N", "x", "y"]:
            return maps.permute(["NCyx".index(role) for role in dims])
        case ["C", "N", "token"] if trace.layout is not None and not trace.layout.prefix:
            return maps.flatten(2).transpose(1, 2)
    return None
