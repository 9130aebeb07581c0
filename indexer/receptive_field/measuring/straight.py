"""Gradients that show every path: what lets a gradient vanish by chance computes as ever and hands all of it on."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

_CUT_OFFS = {
    "relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "threshold", "threshold_", "clamp",
    "clamp_", "clamp_min", "clamp_min_", "clamp_max", "clamp_max_", "clip", "hardshrink", "softshrink", "round",
    "floor", "ceil", "trunc", "sign",
}  # fmt: skip
_POOLS = {"max_pool1d": 1, "max_pool2d": 2, "max_pool3d": 3}
_ADAPTIVE: dict[str, Callable[..., torch.Tensor]] = {
    "adaptive_max_pool1d": F.adaptive_avg_pool1d,
    "adaptive_max_pool2d": F.adaptive_avg_pool2d,
    "adaptive_max_pool3d": F.adaptive_avg_pool3d,
}


class StraightThrough(TorchFunctionMode):
    """Within it, ReLUs and roundings have the gradient of a line, and maxima that of a sum over their window."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        known = name in _CUT_OFFS or name in _POOLS or name in _ADAPTIVE
        if not known or not args or not isinstance(args[0], torch.Tensor) or not args[0].requires_grad:
            return func(*args, **kwargs)
        x = args[0]
        with torch.no_grad():
            value = func(x.detach().clone(), *args[1:], **kwargs)
        if not isinstance(value, torch.Tensor):  # with indices
            return func(*args, **kwargs)
        if name in _POOLS:
            return _as(value, _window_sum(x, tuple(value.shape[-_POOLS[name] :]), *args[1:], **kwargs))
        if name in _ADAPTIVE:
            return _as(value, _ADAPTIVE[name](x, tuple(value.shape[2:])))
        if name.endswith("_") or kwargs.get("inplace") or any(each is True for each in args[1:]):
            x.data.copy_(value)
            return x
        return _as(value, x)


def _as(value: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """The value, with the gradient of another tensor."""
    return value + (like - like.detach())


def _window_sum(
    x: torch.Tensor, out: Sequence[int], kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    *rest: Any, **kwargs: Any,
) -> torch.Tensor:  # fmt: skip
    axes = len(out)
    kernel, step, before, apart = (
        (each,) * axes if isinstance(each, int) else tuple(each) * (axes // len(each))
        for each in (kernel_size, stride or kernel_size, padding, dilation)
    )
    for i, size in enumerate(out):
        axis = x.dim() - axes + i
        after = (size - 1) * step[i] + (kernel[i] - 1) * apart[i] + 1 - before[i] - x.shape[axis]
        x = F.pad(x, [0, 0] * (axes - 1 - i) + [before[i], max(after, 0)])
        places = torch.arange(size, device=x.device) * step[i]
        x = sum(x.index_select(axis, places + k * apart[i]) for k in range(kernel[i]))  # type: ignore[assignment]
    return x
