"""Copies of a model to trace and to measure, which leave the model as it is.

A copy has the model's own hooks, as they are part of what it computes; those of unitscope are left out. What cannot be
copied (a lock, a generator, a handle) is shared with the original.
"""

import copy
from collections.abc import Callable, Iterator
from types import CellType, FunctionType
from typing import Any

import torch
from torch import nn

from indexer.receptive_field.flow.masks import mark_mask

_FORWARD = ("_forward_hooks", "_forward_pre_hooks")
_BACKWARD = ("_backward_hooks", "_backward_pre_hooks")
_OURS = "indexer."

TensorCopy = Callable[[torch.Tensor], torch.Tensor]


def plain_copy(model: nn.Module) -> nn.Module:
    """A copy of the model in evaluation mode, with weights of its own."""
    return _copied(model, lambda tensor: tensor.detach().clone())


def weightless(model: nn.Module) -> nn.Module:
    """A copy on the meta device, which holds shapes only."""
    return _copied(model, lambda tensor: mark_mask(tensor.detach().to("meta"), tensor))


def origin(hook: Any) -> str:
    """The module in which a hook, or its class, is written."""
    return str(getattr(hook, "__module__", None) or type(hook).__module__)


def is_torchs(hook: Any) -> bool:
    """Whether a hook is one of torch's own, which set weights: pruning, weight norm, spectral norm."""
    return origin(hook).startswith("torch.")


def is_ours(hook: Any) -> bool:
    """Whether unitscope has put the hook there, to look at a layer."""
    return origin(hook).startswith(_OURS)


def _copied(model: nn.Module, tensor_copy: TensorCopy) -> nn.Module:
    memo: dict[int, Any] = {}
    modules = list(model.modules())
    for module in modules:
        for value in vars(module).values():
            for tensor in _tensors(value):
                memo[id(tensor)] = _tensor(tensor, tensor_copy)
    for module in modules:
        memo[id(module)] = _shell(module, memo)
    for module in modules:
        made = memo[id(module)]
        if made is not module and not isinstance(module, torch.jit.ScriptModule):
            made.__dict__.update({name: _attempt(value, memo) for name, value in vars(module).items()})
    for module in modules:
        _settle(memo[id(module)], memo)
    return _evaluating(memo[id(model)])


def _evaluating(model: nn.Module) -> nn.Module:
    try:
        return model.eval()
    except NotImplementedError:  # an exported program has no modes
        return model


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """The tensors of a module's attribute, as deep as lists and dicts go."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _tensors(item)
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))


def _tensor(tensor: torch.Tensor, tensor_copy: TensorCopy) -> torch.Tensor:
    """A copy that remembers no computation: what has one, such as a pruned weight, cannot be copied deeply."""
    copied = tensor_copy(tensor)
    return nn.Parameter(copied, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else copied


def _shell(module: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """An empty module of the same class; a scripted one is copied whole."""
    if isinstance(module, torch.jit.ScriptModule):
        whole: nn.Module = _attempt(module, memo)
        return whole
    return object.__new__(type(module))


def _attempt(value: Any, memo: dict[int, Any]) -> Any:
    try:
        return copy.deepcopy(value, memo)
    except Exception:  # user code, or what nobody can copy
        memo[id(value)] = value
        return value


def _settle(module: nn.Module, memo: dict[int, Any]) -> None:
    """Leave out the hooks that do not belong to the model, and tie those that do to the copy."""
    for name in _BACKWARD:
        if getattr(module, name, None):
            getattr(module, name).clear()
    for name in _FORWARD:
        hooks = getattr(module, name, {})
        for key, hook in list(hooks.items()):
            if is_ours(hook):
                del hooks[key]
            else:
                hooks[key] = _tied(hook, memo)
    if isinstance(module, nn.DataParallel):
        module.device_ids = []  # so it calls the one module that it holds
    for name, value in vars(module).items():
        if isinstance(value, FunctionType):
            vars(module)[name] = _tied(value, memo)


def _tied(function: Any, memo: dict[int, Any]) -> Any:
    """A function that keeps things in, or calls, what it encloses: one that encloses the copies of these."""
    cells = getattr(function, "__closure__", None)
    if not isinstance(function, FunctionType) or not cells:
        return function
    try:
        enclosed = [cell.cell_contents for cell in cells]
    except ValueError:  # a cell that is empty yet
        return function
    kinds = (nn.Module, list, dict, set)
    copies = [_attempt(each, memo) if isinstance(each, kinds) or id(each) in memo else each for each in enclosed]
    tied = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, tuple(map(CellType, copies))
    )
    tied.__kwdefaults__, tied.__module__ = function.__kwdefaults__, function.__module__
    return tied
