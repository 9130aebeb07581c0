"""In which numbers a network computes: as its code says, or faster and a little differently.

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

import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch
from torch import fx, nn
from torch.nn.utils import fuse_conv_bn_eval

from indexer.errors import InvalidRequest
from indexer.index.manifest import FLOAT32, PRECISIONS
from indexer.receptive_field.graph.tracer import LayerTracer, floating_dtype, output_nodes, plain_copy, weightless

_CONVOLUTIONS: Final = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MULTIPLYING: Final = (*_CONVOLUTIONS, nn.Linear)


def in_precision(module: nn.Module, layers: Sequence[str], input_size: tuple[int, int], precision: str) -> nn.Module:
    """The module itself for ``float32``, else a copy that computes as the precision says.

    Parameters
    ----------
    module : nn.Module
        In evaluation mode, on the CPU.
    layers : sequence of str
        What is looked at: none of their outputs becomes another one.
    input_size : (int, int)
        Height and width of the input.

    Raises
    ------
    InvalidRequest
        There is no such precision, or nothing that could be folded, or the module cannot be copied.
    """
    if precision not in PRECISIONS:
        raise InvalidRequest(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    if precision == FLOAT32:
        return module
    try:
        copied = plain_copy(module)
    except Exception as error:  # a module may refuse
        raise InvalidRequest(f"precision {precision} needs a copy of the model, which refuses: {error}") from error
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
    """What a forward pass in a precision runs within; of the thread that enters it alone, but for TF32.

    Whether a GPU rounds to TF32 is one setting of the process, and torch's own for convolutions is that it does.
    """
    if device.type == "cuda":
        products = "tf32" if precision == "tf32" else "ieee"
        torch.backends.cudnn.conv.fp32_precision = torch.backends.cuda.matmul.fp32_precision = products
    # Beside the weights that are bfloat16 already, for whatever else multiplies: attention, functions.
    return torch.autocast(device.type, torch.bfloat16) if precision == "bfloat16" else nullcontext()


def fold_batch_norms(module: nn.Module, layers: Sequence[str], input_size: tuple[int, int]) -> list[str]:
    """Fold, in place, each batch norm into the convolution whose only reader it is; return the norms' names.

    Left as they are: a pair either half of which runs several times or is shared, a convolution whose output is that of
    a layer that is asked for, and every norm of a module that torch.fx cannot trace.
    """
    pairs = _pairs(module, layers, input_size)
    for convolution, norm in pairs:
        fused = fuse_conv_bn_eval(module.get_submodule(convolution), module.get_submodule(norm))
        _put(module, convolution, fused)
        _put(module, norm, nn.Identity())
    return [norm for _, norm in pairs]


def _pairs(module: nn.Module, layers: Sequence[str], input_size: tuple[int, int]) -> list[tuple[str, str]]:
    tracer = LayerTracer(torch.empty(1, 3, *input_size, dtype=floating_dtype(module), device="meta"))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracer.trace(weightless(module))
    except Exception:  # tracing runs the model's own code
        return []
    nodes = list(tracer.graph.nodes)
    uses = Counter(str(node.target) for node in nodes if node.op == "call_module")
    read = {str(node.target).rpartition(".")[0] for node in nodes if node.op == "get_attr"}
    seen = set(output_nodes(tracer, [layer for layer in layers if layer in tracer.returned]).values())

    def alone(node: fx.Node, types: tuple[type[nn.Module], ...]) -> bool:
        name = str(node.target)
        return (
            node.op == "call_module" and uses[name] == 1 and name not in read
            and _is_plain(module.get_submodule(name), types)
        )  # fmt: skip

    found = []
    for norm in nodes:
        if not alone(norm, _NORMS) or not isinstance(norm.args[0] if norm.args else None, fx.Node):
            continue
        convolution = norm.args[0]
        if alone(convolution, _CONVOLUTIONS) and set(convolution.users) == {norm} and convolution not in seen:
            found.append((str(convolution.target), str(norm.target)))
    return [pair for pair in found if module.get_submodule(pair[1]).running_mean is not None]


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
