"""Padding, up-sampling and sub-pixel shuffles."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import taps
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.flow.progression import Progression
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules
from indexer.receptive_field.rules.shapes import permute, reshape
from indexer.receptive_field.rules.windows import per_axis


@for_functions(F.pad)
def pad(site: Site, x: Flow, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Flow:
    result = x
    for i, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        axis = x.rank - 1 - i
        used = taps.padded_indices(x.shape[axis], before, after, mode)[:, None]
        result = result.gathered(axis, used, partial(Progression.window, extent=1, step=1, padding=before))
    return result


@for_modules(
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d, nn.ReplicationPad1d, nn.ReplicationPad2d,
    nn.ReplicationPad3d, nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
)  # fmt: skip
def pad_module(site: Site, module: nn.Module, x: Flow) -> Flow:
    modes = {"Reflection": "reflect", "Replication": "replicate", "Circular": "circular"}
    kind = type(module).__name__.split("Pad")[0]
    sides = per_axis(module.padding, 2)  # type: ignore[arg-type]
    return pad(site, x, sides, modes.get(kind, "constant"))


@for_modules(nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d)
def upsample_module(site: Site, module: nn.Upsample, x: Flow) -> Flow:
    scale = module.scale_factor if module.recompute_scale_factor is not True else None
    return interpolate(site, x, module.size, scale, module.mode, module.align_corners)


@for_functions(F.interpolate)
def interpolate(
    site: Site,
    x: Flow,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Flow:
    if antialias or mode not in ("nearest", "nearest-exact", "linear", "bilinear", "trilinear"):
        raise Unsupported(f"{site.name} resizes by {mode}{' with antialiasing' if antialias else ''}")
    axes = x.rank - 2
    scales = [None] * axes
    if scale_factor is not None and not recompute_scale_factor:
        scales = list(scale_factor) if isinstance(scale_factor, Sequence) else [scale_factor] * axes
    result = x
    for axis, scale in enumerate(scales, start=2):
        before, after = x.shape[axis], site.shape[axis]
        if mode.startswith("nearest"):
            used = taps.nearest(before, after, scale, exact=mode == "nearest-exact")
        else:
            used = taps.linear(before, after, scale, align_corners=bool(align_corners))
        result = result.gathered(axis, used, lambda progression: None)
    return result


@for_modules(nn.PixelShuffle)
def pixel_shuffle_module(site: Site, module: nn.PixelShuffle, x: Flow) -> Flow:
    return pixel_shuffle(site, x, module.upscale_factor)


@for_functions(F.pixel_shuffle)
def pixel_shuffle(site: Site, x: Flow, upscale_factor: int) -> Flow:
    """Channel c * r * r + i * r + j becomes the places (y * r + i, x * r + j) of channel c."""
    r = upscale_factor
    *lead, channels, height, width = x.shape
    split = reshape(Site(site.name, (*lead, channels // r**2, r, r, height, width)), x)
    n = len(lead)
    moved = permute(site, split, dims=[*range(n), n, n + 3, n + 1, n + 4, n + 2])
    merged = reshape(site, moved)
    dims = (*x.dims[:-3], roles.whole("C", channels // r**2), roles.whole("y", height * r), roles.whole("x", width * r))
    return replace(merged, dims=dims, axes={"y": None, "x": None})
