"""A layer's output as maps."""

import torch

from indexer.errors import BadActivations
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.layout import FORMS
from indexer.receptive_field.maps import maps_of
from indexer.receptive_field.parts import described, described_parts


def as_maps(layer: str, output: object, trace: LayerTrace) -> torch.Tensor:
    """A layer's output as maps (B, C, H, W); ``trace`` says what each of its dimensions is.

    Raises
    ------
    BadActivations
        The output is not a tensor, or its dimensions are not known to be those of a map or a vector.
    """
    if not isinstance(output, torch.Tensor):
        raise BadActivations(f"layer {layer!r} gives {described(output)}, not a tensor; {_advice(layer, output)}")
    if output.is_complex():
        raise BadActivations(
            f"layer {layer!r} gives complex numbers, of which only the real part could be kept; name the module behind "
            "it that makes real ones of them"
        )
    if output.is_quantized:
        output = output.dequantize()
    maps = maps_of(output, trace)
    if maps is not None:
        return maps
    raise BadActivations(
        f"layer {layer!r} gives a tensor of shape {tuple(output.shape)}{_needed(layer, output, trace)}"
    )


def _needed(layer: str, output: torch.Tensor, trace: LayerTrace) -> str:
    """Why a tensor is no map, and what would make it one."""
    advice = f"if you know them, say --layout {layer}={FORMS}"
    if "?" in trace.dims:
        return (
            ", and neither the model's code nor a measurement tells which dimensions are images, channels, rows and "
            f"columns; {advice}"
        )
    dims = f" with the dimensions {', '.join(trace.dims)}, which is"
    if trace.dims == ("N", "token", "C"):
        tokens = output.shape[1]
        return (
            f"{dims} no map until the tokens have places; say --layout {layer}=NTC:HxW+PREFIX with H x W + PREFIX "
            f"= {tokens} (NTC:14x14+1 has 197), or name one of them, {layer}:token0 to {layer}:token{tokens - 1}"
        )
    return f"{dims} neither a map (N, C, H, W) nor a vector (N, C) an image; name another layer, or {advice}"


def _advice(layer: str, output: object) -> str:
    parts = described_parts(layer, output)
    return f"name a part of it: {parts}" if parts else "name a module inside it"
