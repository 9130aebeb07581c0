"""The precision in which a network computes: that of its code, or a faster one with slightly other results.

1. ``ready = in_precision(module, layers, input_size, precision)`` is the module that computes so; its layers keep their
   names.
2. ``with computing(precision, device):`` goes around its forward passes.

==================  ===================================================================================================
``float32``         the network as it is
``float32-folded``  batch norms are folded into the convolutions before them: other last bits
``tf32``            folded if any can be, and an NVIDIA GPU rounds what it multiplies to ten bits; a CPU does not
``bfloat16``        folded too, and convolutions and matrix products take and give bfloat16, of two to three digits
==================  ===================================================================================================
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, TypeGuard

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import fuse_conv_bn_eval

from indexer.defaults import FLOAT32, PRECISIONS
from indexer.errors import InvalidRequest
from indexer.receptive_field.graph.tracer import LayerTracer, output_nodes, plain_copy, traced
from indexer.system.user_code import described

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MULTIPLYING: Final = (*_CONVOLUTIONS, nn.Linear)


def in_precision(module: nn.Module, layers: Sequence[str], input_size: tuple[int, int], precision: str) -> nn.Module:
    """The module itself for ``float32``, a copy that computes in the precision for any other.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode, on the CPU.
    layers : sequence of str
        Layers whose outputs are read. Folding keeps each of them the same quantity.
    input_size : (int, int)
        Height and width of the input.

    Raises
    ------
    InvalidRequest
        There is no such precision, or no batch norm can be folded, or the module cannot be copied.
    """
    if precision not in PRECISIONS:
        raise InvalidRequest(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == FLOAT32:
        return module
    try:
        copied = plain_copy(module)
    except Exception as error:  # a module may refuse
        raise InvalidRequest(
            f"precision {precision} needs a copy of the model, which refuses: {described(error)}"
        ) from error
    folded = fold_batch_norms(copied, layers, input_size)
    if precision == "bfloat16":
        _halve(copied)
    elif precision == "float32-folded" and not folded:
        raise InvalidRequest(
            "precision float32-folded: there is no batch norm that folds into a convolution before it without changing "
            "the output of a layer that is asked for; use float32"
        )
    return copied


def computing(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """A context for the forward passes of this thread. TF32 alone is set for the whole process.

    It is always set, because torch's default for convolutions is to round to TF32.
    """
    if device.type == "cuda":
        products = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.conv.fp32_precision = products  # type: ignore[attr-defined]
        torch.backends.cuda.matmul.fp32_precision = products
    # Beside the weights that are bfloat16 already, for whatever else multiplies: attention, functions.
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def fold_batch_norms(module: nn.Module, layers: Sequence[str], input_size: tuple[int, int]) -> list[str]:
    """Fold, in place, each batch norm into the convolution whose only reader it is; return the norms' names.

    Left as they are: a pair either half of which runs several times or is shared, a convolution whose output is that of
    a layer that is asked for, and every norm of a module that torch.fx cannot trace.
    """
    tracer = traced(module, input_size)
    pairs = [] if tracer is None else _foldable(module, tracer, layers)
    for pair in pairs:
        _put(module, pair.convolution, fuse_conv_bn_eval(_convolution(module, pair), _norm(module, pair)))
        _put(module, pair.norm, nn.Identity())
    return [pair.norm for pair in pairs]


class _Pair(NamedTuple):
    """The names of a convolution and of the batch norm that reads it."""

    convolution: str
    norm: str


def _foldable(module: nn.Module, tracer: LayerTracer, layers: Sequence[str]) -> list[_Pair]:
    """The pairs that can be folded without changing the output of one of these layers."""
    used_once = _used_once(tracer.graph)
    outputs = set(output_nodes(tracer, layers).values())

    def runs(node: object, kinds: tuple[type[nn.Module], ...]) -> TypeGuard[fx.Node]:
        return (
            isinstance(node, fx.Node) and node.op == "call_module" and str(node.target) in used_once
            and _is_plain(module.get_submodule(str(node.target)), kinds)
        )  # fmt: skip

    pairs = []
    for norm in tracer.graph.nodes:
        convolution = norm.args[0] if norm.args else None
        if not runs(norm, _NORMS) or not runs(convolution, _CONVOLUTIONS):
            continue
        pair = _Pair(str(convolution.target), str(norm.target))
        only_reader = set(convolution.users) == {norm} and convolution not in outputs
        if only_reader and _norm(module, pair).running_mean is not None:
            pairs.append(pair)
    return pairs


def _used_once(graph: fx.Graph) -> set[str]:
    """Names of the modules that the graph calls once, and of which it reads no weight beside."""
    calls = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    return {name for name, count in calls.items() if count == 1} - read


def _convolution(module: nn.Module, pair: _Pair) -> _ConvNd:
    convolution = module.get_submodule(pair.convolution)
    assert isinstance(convolution, _ConvNd)
    return convolution


def _norm(module: nn.Module, pair: _Pair) -> _BatchNorm:
    norm = module.get_submodule(pair.norm)
    assert isinstance(norm, _BatchNorm)
    return norm


def _is_plain(module: nn.Module, types: tuple[type[nn.Module], ...]) -> bool:
    """Whether a module is one of these and no subclass, which may compute something else; nor is it reparametrised."""
    return type(module) in types and not module.training and not module._forward_pre_hooks and not module._forward_hooks


def _put(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(root.get_submodule(parent), own, module)


def _halve(module: nn.Module) -> None:
    """Keep the weights of what multiplies as bfloat16, so that no pass has to round them again."""
    for part in module.modules():
        if type(part) in _MULTIPLYING:
            part.to(torch.bfloat16)
