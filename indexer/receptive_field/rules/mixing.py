"""Operations in which places along whole dimensions see one another: reductions, products, norms."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow.flow import Flow, joined
from indexer.receptive_field.rules.registry import Site, Unsupported, for_functions, for_modules, for_names


@for_names("mean", "sum", "amax", "amin", "var", "std", "logsumexp")
def reduction(site: Site, x: Flow, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Flow:
    axes = range(x.rank) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    result = x.over(list(axes), site.name)
    if len(site.shape) == result.rank:
        return result
    gone = {x.axis(axis) for axis in axes}
    kept = tuple(dim for axis, dim in enumerate(result.dims) if axis not in gone)
    return result.rearranged(lambda array: array.squeeze(tuple(gone)), kept)


@for_modules(nn.Linear)
def linear_module(site: Site, module: nn.Linear, x: Flow) -> Flow:
    return _linear(site, x)


@for_functions(F.linear)
def linear(site: Site, x: Flow, weight: Any, bias: Any = None) -> Flow:
    if isinstance(weight, Flow) or isinstance(bias, Flow):
        raise Unsupported(f"{site.name} has weights that depend on the input")
    return _linear(site, x)


def _linear(site: Site, x: Flow) -> Flow:
    mixed = x.over([-1], site.name)
    # What becomes of places that are mixed, nobody can say: a sum with what has places may.
    role = "C" if roles.is_channels(x.dims[-1]) or x.rank == 2 else roles.UNKNOWN
    return mixed.rearranged(lambda array: array, mixed.with_dim(-1, roles.whole(role, site.shape[-1])))


@for_names("softmax", "log_softmax")
def softmax(site: Site, x: Flow, *args: Any, dim: int | None = None, **kwargs: Any) -> Flow:
    axis = dim if dim is not None else args[0] if args else None
    if not isinstance(axis, int) or isinstance(axis, bool):
        raise Unsupported(f"{site.name} does not say along which dimension")
    return x.mixed([axis], site.name)


@for_functions(F.normalize)
def normalize(site: Site, x: Flow, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Any = None) -> Flow:
    return x.mixed([dim], site.name)


@for_modules(nn.Softmax, nn.LogSoftmax)
def softmax_module(site: Site, module: nn.Softmax, x: Flow) -> Flow:
    return softmax(site, x, dim=module.dim)


@for_modules(nn.Softmax2d)
def softmax_2d(site: Site, module: nn.Softmax2d, x: Flow) -> Flow:
    return x.mixed([-3], site.name)


@for_modules(nn.LayerNorm, nn.RMSNorm)
def layer_norm_module(site: Site, module: nn.LayerNorm, x: Flow) -> Flow:
    return layer_norm(site, x, module.normalized_shape)


@for_functions(F.layer_norm, F.rms_norm)
def layer_norm(site: Site, x: Flow, normalized_shape: Sequence[int], *rest: Any, **kwargs: Any) -> Flow:
    return x.mixed(range(-len(normalized_shape), 0), site.name)


@for_modules(nn.GroupNorm)
def group_norm_module(site: Site, module: nn.GroupNorm, x: Flow) -> Flow:
    return group_norm(site, x, module.num_groups)


@for_functions(F.group_norm)
def group_norm(site: Site, x: Flow, num_groups: int, *rest: Any, **kwargs: Any) -> Flow:
    per_channel = any(array.shape[1] > 1 for array in (*x.full, *x.path))
    if num_groups > 1 and per_channel:
        raise Unsupported(f"{site.name} mixes channels with different receptive fields in groups", x)
    return x.mixed(range(1, x.rank), site.name)


@for_modules(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
def instance_norm_module(site: Site, module: nn.InstanceNorm2d, x: Flow) -> Flow:
    return x if module.track_running_stats else x.mixed(range(2, x.rank), site.name)


@for_modules(nn.LocalResponseNorm)
def local_response_norm_module(site: Site, module: nn.LocalResponseNorm, x: Flow) -> Flow:
    return local_response_norm(site, x)


@for_functions(F.local_response_norm)
def local_response_norm(site: Site, x: Flow, *args: Any, **kwargs: Any) -> Flow:
    if any(array.shape[1] > 1 for array in (*x.full, *x.path)):
        raise Unsupported(f"{site.name} mixes neighbouring channels with different receptive fields", x)
    return x


@for_names("matmul", "bmm")
def matmul(site: Site, a: Any, b: Any) -> Flow:
    """Products of matrices, in batches or not."""
    if len(a.shape) < 2 or len(b.shape) < 2:
        raise Unsupported(f"{site.name} multiplies by a vector")
    rows = [a.over([-1], site.name)] if isinstance(a, Flow) else []
    columns = [b.over([-2], site.name)] if isinstance(b, Flow) else []
    return joined([*rows, *columns], site.shape)


@for_functions(torch.einsum)
def einsum(site: Site, equation: str, *operands: Any) -> Flow:
    """Sums of products: each operand is reduced over the letters that the result lacks."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if not arrow or "." in equation or any(len(set(term)) < len(term) for term in terms):
        raise Unsupported(f"{site.name} has the equation {equation!r}")
    given = operands[0] if len(operands) == 1 and isinstance(operands[0], (list, tuple)) else operands
    aligned = [
        _aligned(each, term, output, site) for each, term in zip(given, terms, strict=True) if isinstance(each, Flow)
    ]
    return joined(aligned, site.shape)


def _aligned(x: Flow, term: str, output: str, site: Site) -> Flow:
    summed = [axis for axis, letter in enumerate(term) if letter not in output]
    reduced = x.over(summed, site.name) if summed else x
    letters = [letter for letter in output if letter in term]
    order = [term.index(letter) for letter in letters]
    sizes = [letter in term for letter in output]

    def change(array: Any) -> Any:
        kept = array.squeeze(tuple(summed)).transpose([sorted(order).index(axis) for axis in order])
        shape = iter(kept.shape)
        return kept.reshape([next(shape) if present else 1 for present in sizes])

    dims = tuple(reduced.dims[term.index(letter)] if letter in term else roles.whole(roles.NEW, 1) for letter in output)
    return reduced.rearranged(change, dims)
