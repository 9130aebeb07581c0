"""The slow twin of receptive fields: the box of the non-zero gradient, in a network where no gradient can vanish.

The copy of the model has positive weights, means in the place of maxima and no activation that cuts off, in double
precision, so that a pixel has a gradient exactly if some path leads from it to the cell.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from indexer.images.geometry import Box
from indexer.receptive_field import LayerTrace
from indexer.receptive_field.trace import trace_layers

SATURATING = {"sigmoid", "hardsigmoid"}
CUT_OFFS = {"relu", "relu_", "relu6", "hardtanh", "hardtanh_", "hardswish", "hardswish_", "leaky_relu"}
POOLS = {"max_pool1d": 1, "max_pool2d": 2}


class Smooth(TorchFunctionMode):
    """Replaces what lets gradients vanish by chance; a mask of -100 before a softmax becomes a closed one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in CUT_OFFS:
            return args[0] * 1.0
        if name in SATURATING:
            return args[0] / (1 + args[0].abs())  # as flat for large values as double precision bears
        if name in POOLS:
            return window_sum(func, POOLS[name], *args, **kwargs)
        if name == "masked_fill" and args[2] == -100.0:
            args = (*args[:2], -torch.inf)
        return func(*args, **kwargs)


def window_sum(
    pool: Any, axes: int, x: torch.Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, **kwargs: Any,
) -> torch.Tensor:  # fmt: skip
    """The sum over each of the windows in which `pool` finds a maximum."""
    options = (kernel_size, stride or kernel_size, padding, dilation)
    kernel, step, before, spread = ((each,) * axes if isinstance(each, int) else tuple(each) for each in options)
    shape = pool(x, *options, ceil_mode).shape[2:]
    sides = [side for k, b, d in zip(kernel[::-1], before[::-1], spread[::-1], strict=True) for side in (b, b + k * d)]
    weight = x.new_ones(x.shape[1], 1, *kernel)
    conv = F.conv2d if axes == 2 else F.conv1d
    sums = conv(F.pad(x, sides), weight, stride=step, dilation=spread, groups=x.shape[1])
    for axis, size in enumerate(shape, start=2):
        sums = sums.narrow(axis, 0, size)
    return sums


def smooth_copy(model: nn.Module, seed: int = 0) -> nn.Module:
    """A copy in evaluation mode with random positive weights whose activations neither grow nor vanish."""
    twin = copy.deepcopy(model).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for parameter in twin.parameters():
        noise = torch.rand(parameter.shape, generator=generator, dtype=torch.float64) + 0.5
        parameter.data = noise / (parameter[0].numel() if parameter.dim() > 1 else 1)
    for module in twin.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.reset_running_stats()
    return twin


def gradient_boxes(
    model: nn.Module,
    cells: dict[str, Sequence[tuple[int, ...]]],
    dims: dict[str, tuple[str, ...]],
    size: tuple[int, int],
    *,
    mode: Callable[[], TorchFunctionMode] = Smooth,
) -> dict[str, list[Box]]:
    """The bounding boxes of the non-zero gradients of cells, in one forward pass.

    Parameters
    ----------
    model : nn.Module
        As `smooth_copy` makes it.
    cells : dict of str to sequence of (y, x)
        The same number for each layer; () stands for the one place of a vector.
    dims : dict of str to tuple of str
        The meaning of the dimensions of each layer's output.
    """
    count = max(map(len, cells.values()))
    image = torch.rand(count, 3, *size, dtype=torch.float64, requires_grad=True)
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: str) -> Any:
        return lambda module, args, out: outputs.update({layer: out.clone()})

    handles = [model.get_submodule(layer).register_forward_hook(keep(layer)) for layer in cells]
    with mode():
        model(image)
    for handle in handles:
        handle.remove()
    boxes = {}
    for layer, places in cells.items():
        order = [dims[layer].index(role) for role in ("N", "y", "x", "C") if role in dims[layer]]
        output = outputs[layer].permute(order)
        weights = torch.rand(output.shape[-1], dtype=torch.float64) + 0.5
        total = sum(output[(k, *place)] @ weights for k, place in enumerate(places))
        assert isinstance(total, torch.Tensor)
        if total.requires_grad:
            (gradient,) = torch.autograd.grad(total, image, retain_graph=True, allow_unused=True)
        seen = torch.zeros_like(image) if not total.requires_grad or gradient is None else gradient
        boxes[layer] = [bounding_box(seen[k]) for k in range(len(places))]
    return boxes


def bounding_box(gradient: torch.Tensor, least: float = 0.0) -> Box:
    """The box of the entries of (3, h, w) above `least` in size; a box of no pixels where there are none."""
    seen = (gradient.abs() > least).any(0)
    rows, columns = seen.any(1).nonzero().flatten().tolist(), seen.any(0).nonzero().flatten().tolist()
    return Box(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1) if rows else Box(0, 0, 0, 0)


def corners_and_middles(trace: LayerTrace) -> list[tuple[int, ...]]:
    """Corner, border and middle cells of a map; the one place of a vector."""
    field = trace.field
    if "y" not in trace.dims or field.y is None or field.x is None:
        return [()] * 5
    height, width = len(field.y.intervals), len(field.x.intervals)
    return [(0, 0), (height - 1, width - 1), (0, width // 2), (height // 2, width - 1), (height // 2, width // 2)]


def diagonals(height: int, width: int, most: int = 40) -> list[tuple[int, ...]]:
    """Cells on both diagonals, those near the borders first: every row and every column of a small map."""
    count = max(height, width)
    order = sorted(range(count), key=lambda i: min(i, count - 1 - i))
    cells = [(row, min(i, width - 1)) for i in order for row in (min(i, height - 1), max(height - 1 - i, 0))]
    return [*list(dict.fromkeys(cells))[:most], (height // 2, width // 2)]


def assert_equals_gradients(model: nn.Module, layers: Sequence[str], size: tuple[int, int], seed: int = 0) -> None:
    """The boxes of exact layers equal those of the gradients, at the borders and within."""
    traces = trace_layers(model, layers, size)
    for layer in layers:
        assert traces[layer].field.kind == "exact", (layer, traces[layer].field.reason)
    twin = smooth_copy(model, seed)
    for layer in layers:
        field = traces[layer].field
        assert field.y is not None
        assert field.x is not None
        places = diagonals(len(field.y.intervals), len(field.x.intervals)) if "y" in traces[layer].dims else [()]
        found = gradient_boxes(twin, {layer: places}, {layer: traces[layer].dims}, size)[layer]
        for cell, box in zip(places, found, strict=True):
            claimed = field.box(*(cell or (0, 0)))
            assert claimed is not None
            assert claimed == box or claimed.area == box.area == 0, (layer, cell, claimed, box)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small tensors are faster on one thread, ten times where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_twin_finds_a_field_worked_out_by_hand() -> None:
    # Rows: 3 wide, stride 2, from -1. Columns: 5 wide, stride 1, no padding. Then maxima over 2 by 1.
    model = nn.Sequential(nn.Conv2d(3, 2, (3, 5), stride=(2, 1), padding=(1, 0)), nn.ReLU(), nn.MaxPool2d((2, 1)))
    cells = {"2": [(0, 0), (1, 3)]}
    boxes = gradient_boxes(smooth_copy(model), cells, {"2": ("N", "C", "y", "x")}, (9, 11))
    assert boxes["2"] == [Box(0, 0, 5, 4), Box(3, 3, 8, 8)]


def test_twin_sums_the_windows_of_the_pool() -> None:
    x = torch.rand(1, 2, 11, 14, dtype=torch.float64)
    for options in ({"stride": 2, "ceil_mode": True}, {"stride": 3, "padding": 1}, {"stride": 1, "dilation": 2}):
        with Smooth():
            sums = F.max_pool2d(x, 3, **options)
        assert sums.shape == F.max_pool2d(x, 3, **options).shape
        assert (sums >= F.max_pool2d(x, 3, **options) - 1e-12).all()
