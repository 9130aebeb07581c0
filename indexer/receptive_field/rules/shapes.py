"""Operations that only move elements: permuting, reshaping, slicing, joining."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import numpy as np
import torch
from torch import nn

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import progression as progressions
from indexer.receptive_field.flow import reach as reaches
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.flow.progression import Progression
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules, for_names


@for_names("permute")
def permute(site: Site, x: Flow, *order: Any, dims: Sequence[int] | None = None) -> Flow:
    if dims is None:
        dims = order[0] if order and not isinstance(order[0], int) else order
    axes = [x.axis(axis) for axis in dims]
    return x.rearranged(lambda array: array.transpose(axes), tuple(x.dims[axis] for axis in axes))


@for_names("transpose", "swapaxes", "swapdims")
def transpose(site: Site, x: Flow, dim0: int, dim1: int) -> Flow:
    order = list(range(x.rank))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(site, x, dims=order)


@for_functions(getattr)
def attribute(site: Site, x: Flow, name: str) -> Flow:
    if name in ("data", "real", "imag"):
        return x
    if name == "T":
        return permute(site, x, dims=range(x.rank)[::-1])
    if name != "mT":
        raise Unsupported(f"the attribute {name} of a tensor is not known")
    return transpose(site, x, -2, -1)


@for_names("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze")
def reshape(site: Site, x: Flow, *args: Any, **kwargs: Any) -> Flow:
    """Any operation that keeps the order of the elements: the result's shape says the rest."""
    if args and isinstance(args[0], torch.dtype):
        raise Unsupported(f"{site.name} reads the bytes of a tensor as another type")
    groups = list(roles.aligned_groups(x.shape, site.shape))
    dims: list[roles.Dim] = []
    for run, target in groups:
        factors = [factor for axis in run for factor in x.dims[axis]]
        dims += roles.regrouped(factors, [site.shape[axis] for axis in target])
    return x.mapped(lambda reach: reaches.reshaped(reach, groups, x.shape, site.shape), tuple(dims))


@for_modules(nn.Flatten, nn.Unflatten)
def reshape_module(site: Site, module: nn.Module, x: Flow) -> Flow:
    return reshape(site, x)


@for_names("expand", "expand_as", "broadcast_to")
def expand(site: Site, x: Any, *sizes: Any, **kwargs: Any) -> Flow | None:
    if not isinstance(x, Flow):
        return None  # a constant, expanded to the shape of something else
    fresh = len(site.shape) - x.rank
    dims = [roles.whole(roles.UNKNOWN, size) for size in site.shape[:fresh]]
    dims += [roles.resized(dim, size) for dim, size in zip(x.dims, site.shape[fresh:], strict=True)]
    return x.rearranged(lambda array: array.reshape((1,) * fresh + array.shape), tuple(dims))


def section(x: Flow, axis: int, first: int, end: int, step: int = 1) -> Flow:
    """x[first:end:step] along one dimension."""
    axis = x.axis(axis)
    index = (slice(None),) * axis + (slice(first, end, step),)
    moved = x.with_axis(axis, lambda old: old.window(1, step, -first))
    dims = x.with_dim(axis, roles.resized(x.dims[axis], len(range(first, end, step))))
    return moved.rearranged(lambda array: array if array.shape[axis] == 1 else array[index], dims)


@for_names("chunk", "split", "tensor_split", "split_with_sizes")
def split(site: Site, x: Flow, sections: Any = None, dim: int = 0, **kwargs: Any) -> tuple[Flow, ...]:
    parts, first = [], 0
    for shape in site.shape:
        parts.append(section(x, dim, first, first + shape[dim]))
        first += shape[dim]
    return tuple(parts)


@for_names("unbind")
def unbind(site: Site, x: Flow, dim: int = 0) -> tuple[Flow, ...]:
    return tuple(select(x, dim, index) for index in range(x.shape[dim]))


@for_names("narrow")
def narrow(site: Site, x: Flow, dim: int, start: int, length: int) -> Flow:
    return section(x, dim, start, start + length)


@for_names("select")
def select_rule(site: Site, x: Flow, dim: int, index: int) -> Flow:
    return select(x, dim, index)


def select(x: Flow, axis: int, index: int) -> Flow:
    """x[index] along one dimension, which goes."""
    axis, index = x.axis(axis), index % x.shape[axis]
    slab = section(x, axis, index, index + 1)
    return slab.rearranged(lambda array: array.squeeze(axis), (*slab.dims[:axis], *slab.dims[axis + 1 :]))


@for_names("getitem")
def getitem(site: Site, x: Flow, index: Any) -> Flow:
    """Basic indexing: integers, slices, None and the ellipsis."""
    parts = list(index) if isinstance(index, tuple) else [index]
    if not all(part is None or isinstance(part, (int, slice, EllipsisType)) for part in parts):
        raise Unsupported(f"{site.name} indexes with a tensor or a list")
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    rest = parts.index(Ellipsis)
    used = sum(part is not None and part is not Ellipsis for part in parts)
    parts[rest : rest + 1] = [slice(None)] * (x.rank - used)
    axis = 0
    for part in parts:
        if part is None:
            x = insert(x, axis)
        elif isinstance(part, int):
            x, axis = select(x, axis, part), axis - 1
        elif part != slice(None):
            x = section(x, axis, *part.indices(x.shape[axis]))
        axis += 1
    return x


def insert(x: Flow, axis: int) -> Flow:
    """A new dimension of size 1."""
    dims = (*x.dims[:axis], roles.whole(roles.NEW, 1), *x.dims[axis:])
    return x.rearranged(lambda array: np.expand_dims(array, axis), dims)


@for_names("cat", "concat", "concatenate")
def cat(site: Site, tensors: Sequence[Any], dim: int = 0) -> Flow:
    """Tensors behind one another along a dimension; those that do not depend on the input see nothing."""
    dim %= len(site.shape)
    flows = [each for each in tensors if isinstance(each, Flow)]
    sizes = [each.shape[dim] for each in tensors]
    blind = reaches.nothing(len(site.shape))
    full = _concatenated([each.full if isinstance(each, Flow) else blind for each in tensors], sizes, dim)
    path = full
    if any(flow.path is not flow.full for flow in flows):
        path = _concatenated([each.path if isinstance(each, Flow) else blind for each in tensors], sizes, dim)
    joined_roles = {roles.role_of(flow.dims[dim]) for flow in flows}
    role = joined_roles.pop() if len(joined_roles) == 1 else roles.UNKNOWN
    dims = flows[0].with_dim(dim, roles.whole(role, site.shape[dim]))
    mixer = next((flow.mixer for flow in flows if flow.mixer), None)
    return Flow(dims, full, path, _joined_axes(flows, dim), mixer)


def _joined_axes(flows: Sequence[Flow], dim: int) -> dict[str, Progression | None]:
    """The arithmetic of each axis after joining along a dimension: that of all, unless the dimension holds the axis."""
    held = {roles.role_of(flow.dims[dim]) for flow in flows}
    seeing = [flow for flow in flows if not reaches.is_empty(flow.path)]
    return {
        axis: None if held & {axis, "token"} else progressions.join(flow.axes[axis] for flow in seeing)
        for axis in ("y", "x")
    }


def _concatenated(parts: Sequence[reaches.Reach], sizes: Sequence[int], axis: int) -> reaches.Reach:
    """The reaches of parts that have these sizes along an axis; constant along it if they all are, and are equal."""
    if all(_alike(parts[0], part, axis) for part in parts[1:]) and parts[0][0].shape[axis] == 1:
        return parts[0]
    up, down, left, right = (_joined([part[k] for part in parts], sizes, axis) for k in range(4))
    return up, down, left, right


def _joined(arrays: Sequence[np.ndarray], sizes: Sequence[int], axis: int) -> np.ndarray:
    """Arrays behind one another along an axis, where each gets its size; along the others they are broadcast."""
    spread = [reaches.spread(array, axis, size) for array, size in zip(arrays, sizes, strict=True)]
    beside = np.broadcast_shapes(*(array.take([0], axis).shape for array in spread))
    shapes = [(*beside[:axis], array.shape[axis], *beside[axis + 1 :]) for array in spread]
    return np.concatenate([np.broadcast_to(*each) for each in zip(spread, shapes, strict=True)], axis)


def _alike(a: reaches.Reach, b: reaches.Reach, axis: int) -> bool:
    return all(m.shape == n.shape and m.shape[axis] == 1 and (m == n).all() for m, n in zip(a, b, strict=True))


@for_names("stack")
def stack(site: Site, tensors: Sequence[Any], dim: int = 0) -> Flow:
    dim %= len(site.shape)
    return cat(site, [insert(each, dim) if isinstance(each, Flow) else each.unsqueeze(dim) for each in tensors], dim)


@for_names("roll")
def roll(site: Site, x: Flow, shifts: Any, dims: Any = None) -> Flow:
    if dims is None:
        raise Unsupported(f"{site.name} rolls the flattened tensor")
    pairs = [(shifts, dims)] if isinstance(dims, int) else list(zip(shifts, dims, strict=True))
    for shift, axis in pairs:
        sources = (np.arange(x.shape[axis]) - shift) % x.shape[axis]
        x = x.gathered(x.axis(axis), sources[:, None], lambda progression: None)
    return x


@for_names("flip")
def flip(site: Site, x: Flow, *dims: Any) -> Flow:
    axes: Sequence[int] = dims[0] if dims and not isinstance(dims[0], int) else dims
    for axis in axes:
        x = x.gathered(x.axis(axis), np.arange(x.shape[axis])[::-1, None], lambda progression: None)
    return x


@for_functions(nn.functional.channel_shuffle)
def channel_shuffle(site: Site, x: Flow, groups: int) -> Flow:
    """Channel g * n + k becomes channel k * groups + g."""
    order = np.arange(x.shape[1]).reshape(groups, -1).T.ravel()
    return x.gathered(1, order[:, None], lambda progression: progression)


@for_modules(nn.ChannelShuffle)
def channel_shuffle_module(site: Site, module: nn.ChannelShuffle, x: Flow) -> Flow:
    return channel_shuffle(site, x, module.groups)
