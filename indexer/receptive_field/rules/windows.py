"""Convolution and pooling: windows that move along the last dimensions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import taps
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.flow.progression import Progression
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules

Ints = int | Sequence[int]


def per_axis(value: Ints, axes: int) -> tuple[int, ...]:
    """One value for each spatial dimension, as torch reads its arguments."""
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * axes if len(values) == 1 else values


def mix_channels(x: Flow, axis: int, groups: int, out: int) -> Flow:
    """Each output channel sees all channels of its group."""
    axis = x.axis(axis)

    def change(array: np.ndarray) -> np.ndarray:
        if array.shape[axis] == 1:
            return array
        split = array.reshape(*array.shape[:axis], groups, -1, *array.shape[axis + 1 :])
        return np.repeat(split.max(axis + 1), out // groups if groups > 1 else 1, axis)

    return x.rearranged(change, x.with_dim(axis, roles.whole("C", out)))


def cut_if_one_cell(site: Site, before: Flow, after: Flow, axes: int) -> Flow:
    """A window that covers the whole map takes its one cell off the spatial path, as global pooling does."""
    one_cell = all(after.shape[axis] == 1 for axis in range(-axes, 0))
    return after.cut_if_wider(before, site.name) if one_cell else after


def slide(
    site: Site,
    x: Flow,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
    dilation: Sequence[int],
    mode: str = "zeros",
) -> Flow:
    """Windows over the last len(kernel) dimensions; the result's size says how many there are."""
    result, axes = x, len(kernel)
    for i, axis in enumerate(range(x.rank - axes, x.rank)):
        before, after = padding[i]
        extent = (kernel[i] - 1) * dilation[i] + 1
        source = taps.padded_indices(x.shape[axis], before, after, mode)
        used = taps.window(site.shape[axis], kernel[i], stride[i], dilation[i], source)
        result = result.gathered(axis, used, _window_step(extent, stride[i], before))
    return cut_if_one_cell(site, x, result, axes)


def _window_step(extent: int, stride: int, padding: int) -> Callable[[Progression], Progression]:
    return lambda progression: progression.window(extent, stride, padding)


def _symmetric(padding: Ints, axes: int) -> list[tuple[int, int]]:
    return [(each, each) for each in per_axis(padding, axes)]


def _conv_padding(padding: str | Ints, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    if padding == "valid":
        return [(0, 0)] * len(kernel)
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    assert not isinstance(padding, str)
    return _symmetric(padding, len(kernel))


@for_modules(nn.Conv1d, nn.Conv2d, nn.Conv3d)
def conv_module(site: Site, module: nn.Conv2d, x: Flow) -> Flow:
    kernel = module.kernel_size
    padding = _conv_padding(module.padding, kernel, module.dilation)
    mixed = mix_channels(x, -len(kernel) - 1, module.groups, module.out_channels)
    return slide(site, mixed, kernel, module.stride, padding, module.dilation, module.padding_mode)


@for_functions(F.conv1d, F.conv2d, F.conv3d)
def conv(
    site: Site,
    x: Flow,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: str | Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
) -> Flow:
    if not isinstance(weight, torch.Tensor) or not (bias is None or isinstance(bias, torch.Tensor)):
        raise Unsupported(f"{site.name} has weights that depend on the input")
    kernel = tuple(weight.shape[2:])
    steps, spacing = per_axis(stride, len(kernel)), per_axis(dilation, len(kernel))
    mixed = mix_channels(x, -len(kernel) - 1, groups, weight.shape[0])
    return slide(site, mixed, kernel, steps, _conv_padding(padding, kernel, spacing), spacing)


@for_modules(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
def conv_transpose_module(site: Site, module: nn.ConvTranspose2d, x: Flow, output_size: Any = None) -> Flow:
    axes = len(module.kernel_size)
    result = mix_channels(x, -axes - 1, module.groups, module.out_channels)
    for i, axis in enumerate(range(x.rank - axes, x.rank)):
        used = taps.transposed(
            x.shape[axis], site.shape[axis], module.kernel_size[i], module.stride[i], int(module.padding[i]),
            module.dilation[i],
        )  # fmt: skip
        result = result.gathered(axis, used, lambda progression: None)
    return result


@for_modules(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
def max_pool_module(site: Site, module: nn.MaxPool2d, x: Flow) -> Flow:
    axes = x.rank - 2 if isinstance(module.kernel_size, int) else len(module.kernel_size)
    return max_pool(
        site, x, per_axis(module.kernel_size, axes), module.stride, module.padding, module.dilation,
        module.ceil_mode, module.return_indices,
    )  # fmt: skip


@for_functions(F.max_pool1d, F.max_pool2d, F.max_pool3d, torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)
def max_pool(
    site: Site,
    x: Flow,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Flow:
    if return_indices:
        raise Unsupported(f"{site.name} also returns indices")
    return _pool(site, x, kernel_size, stride, padding, dilation)


@for_modules(nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
def avg_pool_module(site: Site, module: nn.AvgPool2d, x: Flow) -> Flow:
    return _pool(site, x, module.kernel_size, module.stride, module.padding, 1)


@for_functions(F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)
def avg_pool(
    site: Site, x: Flow, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0, *rest: Any, **kwargs: Any
) -> Flow:
    return _pool(site, x, kernel_size, stride, padding, 1)


def _pool(site: Site, x: Flow, kernel: Ints, stride: Ints | None, padding: Ints, dilation: Ints) -> Flow:
    axes = x.rank - 2
    windows = per_axis(kernel, axes)
    steps = per_axis(stride, axes) if stride not in (None, [], ()) else windows
    return slide(site, x, windows, steps, _symmetric(padding, axes), per_axis(dilation, axes))


@for_modules(
    nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d,
)  # fmt: skip
def adaptive_pool_module(site: Site, module: nn.AdaptiveAvgPool2d, x: Flow) -> Flow:
    return adaptive_pool(site, x, module.output_size)


@for_functions(
    F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d, F.adaptive_max_pool1d,
    F.adaptive_max_pool2d, F.adaptive_max_pool3d, torch.adaptive_avg_pool1d, torch.adaptive_max_pool1d,
)  # fmt: skip
def adaptive_pool(site: Site, x: Flow, output_size: Any, return_indices: bool = False) -> Flow:
    if return_indices or not all(isinstance(size, int) for size in site.shape):
        raise Unsupported(f"{site.name} also returns indices")
    result = x
    for axis in range(2, x.rank):
        size, out = x.shape[axis], site.shape[axis]
        even = size // out if size % out == 0 else None
        step = _window_step(even, even, 0) if even else (lambda progression: None)
        result = result.gathered(axis, taps.adaptive(size, out), step)
    return cut_if_one_cell(site, x, result, x.rank - 2)
