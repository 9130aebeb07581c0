"""Norms along dimensions, running sums, patches unfolded and folded, Fourier transforms."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import taps
from indexer.receptive_field.flow.flow import Flow, joined
from indexer.receptive_field.rules.mixing import reduction
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules, for_names
from indexer.receptive_field.rules.resizing import pad
from indexer.receptive_field.rules.shapes import cat, permute, reshape, select
from indexer.receptive_field.rules.windows import Ints, max_pool, per_axis


@for_functions(torch.linalg.vector_norm)
def vector_norm(site: Site, x: Flow, ord: Any = 2, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Flow:
    return reduction(site, x, dim, keepdim)


@for_functions(torch.linalg.norm, torch.linalg.matrix_norm)
@for_names("norm")
def norm(site: Site, x: Flow, p: Any = None, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Flow:
    if dim is None and len(site.shape) not in (0, x.rank):
        raise Unsupported(f"{site.name} does not say along which dimensions")
    return reduction(site, x, dim, keepdim)


@for_names("prod", "nansum", "nanmean", "count_nonzero")
def other_reduction(site: Site, x: Flow, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Flow:
    return reduction(site, x, dim, keepdim)


@for_names("cumsum", "cumprod", "logcumsumexp")
def running(site: Site, x: Flow, dim: int, **kwargs: Any) -> Flow:
    """Each place sees those before it, and itself."""
    length = x.shape[dim]
    places = np.arange(length)
    used = np.where(places[None] <= places[:, None], places[None], -1)
    return x.gathered(x.axis(dim), used, lambda progression: None)


@for_names("repeat_interleave")
def repeat_interleave(site: Site, x: Flow, repeats: Any, dim: Any = None, **kwargs: Any) -> Flow:
    if not isinstance(repeats, int) or dim is None:
        raise Unsupported(f"{site.name} repeats each element another number of times")
    used = np.arange(x.shape[dim]).repeat(repeats)[:, None]
    return x.gathered(x.axis(dim), used, lambda progression: None)


@for_names("movedim", "moveaxis")
def movedim(site: Site, x: Flow, source: Any, destination: Any) -> Flow:
    pairs = [(source, destination)] if isinstance(source, int) else list(zip(source, destination, strict=True))
    placed = {x.axis(new): x.axis(old) for old, new in pairs}
    others = iter([axis for axis in range(x.rank) if axis not in placed.values()])
    return permute(site, x, dims=[placed[axis] if axis in placed else next(others) for axis in range(x.rank)])


@for_modules(nn.LPPool2d)
def lp_pool_module(site: Site, module: nn.LPPool2d, x: Flow) -> Flow:
    return lp_pool(site, x, module.norm_type, module.kernel_size, module.stride)


@for_functions(F.lp_pool2d)
def lp_pool(
    site: Site, x: Flow, norm_type: float, kernel_size: Ints, stride: Ints | None = None, ceil_mode: bool = False
) -> Flow:
    return max_pool(site, x, kernel_size, stride)


@for_modules(nn.Unfold)
def unfold_module(site: Site, module: nn.Unfold, x: Flow) -> Flow:
    return unfold(site, x, module.kernel_size, module.dilation, module.padding, module.stride)


@for_functions(F.unfold)
def unfold(
    site: Site, x: Flow, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Flow:  # fmt: skip
    """Row (c, i, j) of column (y, x) is what tap (i, j) of a window there sees of channel c."""
    kernel, apart, before, step = (per_axis(each, 2) for each in (kernel_size, dilation, padding, stride))
    batch, channels, *sides = x.shape
    padded_shape = (batch, channels, *(side + 2 * each for side, each in zip(sides, before, strict=True)))
    padded = pad(Site(site.name, padded_shape), x, (before[1], before[1], before[0], before[0]))
    counts = [
        (padded_shape[2 + i] - (kernel[i] - 1) * apart[i] - 1) // step[i] + 1 for i in range(2)
    ]  # fmt: skip
    parts = []
    for tap in np.ndindex(*kernel):
        part = padded
        for i in range(2):
            used = (np.arange(counts[i]) * step[i] + tap[i] * apart[i])[:, None]
            part = part.gathered(2 + i, used, lambda progression: None)
        split = (*part.shape[:2], 1, *part.shape[2:])
        parts.append(reshape(Site(site.name, split), part))
    taken = cat(Site(site.name, (batch, channels, len(parts), *counts)), parts, 2)
    taken = replace(taken, dims=taken.with_dim(2, roles.whole("C", len(parts))))
    return reshape(site, taken)


@for_modules(nn.Fold)
def fold_module(site: Site, module: nn.Fold, x: Flow) -> Flow:
    return fold(site, x, module.output_size, module.kernel_size, module.dilation, module.padding, module.stride)


@for_functions(F.fold)
def fold(
    site: Site, x: Flow, output_size: Ints, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Flow:
    """Adds to each place what the taps of all windows put there."""
    sides = per_axis(output_size, 2)
    kernel, apart, before, step = (per_axis(each, 2) for each in (kernel_size, dilation, padding, stride))
    counts = [(sides[i] + 2 * before[i] - (kernel[i] - 1) * apart[i] - 1) // step[i] + 1 for i in range(2)]
    batch, channels = x.shape[0], site.shape[1]
    taps_of = reshape(Site(site.name, (batch, channels, kernel[0] * kernel[1], *counts)), x)
    parts = []
    for number, tap in enumerate(np.ndindex(*kernel)):
        part = select(taps_of, 2, number)
        for i in range(2):
            used = taps.transposed(counts[i], sides[i], 1, step[i], before[i] - tap[i] * apart[i], 1)
            part = part.gathered(2 + i, used, lambda progression: None)
        parts.append(part)
    folded = joined(parts, site.shape)
    dims = (x.dims[0], roles.whole("C", channels), roles.whole("y", sides[0]), roles.whole("x", sides[1]))
    known = {roles.role_of(taps_of.dims[3]), roles.role_of(taps_of.dims[4])} <= {"y", "x", roles.NEW}
    return replace(folded, dims=dims if known else folded.dims, axes={"y": None, "x": None})


@for_modules(nn.PixelUnshuffle)
def pixel_unshuffle_module(site: Site, module: nn.PixelUnshuffle, x: Flow) -> Flow:
    return pixel_unshuffle(site, x, module.downscale_factor)


@for_functions(F.pixel_unshuffle)
def pixel_unshuffle(site: Site, x: Flow, downscale_factor: int) -> Flow:
    """The places of each block of r by r side by side as channels."""
    r = downscale_factor
    batch, channels, height, width = x.shape
    split = reshape(Site(site.name, (batch, channels, height // r, r, width // r, r)), x)
    merged = reshape(site, permute(site, split, dims=(0, 1, 3, 5, 2, 4)))
    dims = (
        x.dims[0], roles.whole("C", channels * r * r), roles.whole("y", height // r), roles.whole("x", width // r)
    )  # fmt: skip
    axes = {axis: old and old.window(r, r, 0) for axis, old in x.axes.items()}
    return replace(merged, dims=dims, axes=axes)


@for_functions(
    torch.fft.fft2, torch.fft.ifft2, torch.fft.rfft2, torch.fft.irfft2, torch.fft.fftn, torch.fft.ifftn,
    torch.fft.rfftn, torch.fft.irfftn,
)  # fmt: skip
def fourier(site: Site, x: Flow, s: Any = None, dim: Any = None, norm: Any = None) -> Flow:
    two = site.name.split()[0].endswith("2")
    axes: Sequence[int] = dim if dim is not None else (-2, -1) if two else range(x.rank)
    return _transformed(site, x, axes)


@for_functions(torch.fft.fft, torch.fft.ifft, torch.fft.rfft, torch.fft.irfft)
def fourier_of_one(site: Site, x: Flow, n: Any = None, dim: int = -1, norm: Any = None) -> Flow:
    return _transformed(site, x, (dim,))


def _transformed(site: Site, x: Flow, axes: Sequence[int]) -> Flow:
    """Every frequency sees all places."""
    mixed = x.over(list(axes), site.name)
    dims = tuple(roles.resized(dim, size) for dim, size in zip(x.dims, site.shape, strict=True))
    return mixed.rearranged(lambda array: array, dims)


@for_modules(nn.Bilinear)
def bilinear_module(site: Site, module: nn.Bilinear, a: Any, b: Any) -> Flow:
    mixed = [each.over([-1], site.name) for each in (a, b) if isinstance(each, Flow)]
    result = joined(mixed, (*site.shape[:-1], 1))
    return replace(result, dims=result.with_dim(-1, roles.whole("C", site.shape[-1])))


@for_names("real", "imag", "angle", "view_as_real", "view_as_complex", "complex", "polar")
def complex_parts(site: Site, *args: Any, **kwargs: Any) -> Flow:
    flows = [each for each in (*args, *kwargs.values()) if isinstance(each, Flow)]
    if any(flow.shape != site.shape for flow in flows):
        raise Unsupported(f"{site.name} adds or takes a dimension of complex numbers")
    return joined(flows, site.shape)
