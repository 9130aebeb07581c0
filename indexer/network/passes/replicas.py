"""Copies of a network, so that several passes may run at once.

A person's forward is seldom written for two passes at once: it keeps skip connections on ``self``, in dicts or through
hooks, and two passes of one module would read each other's tensors. So each pass has a copy to itself. Copies share
parameters, which a pass only reads, and nothing else.

1. ``replicas = Replicas(module)`` holds the module alone: passes wait for one another.
2. ``replicas.spread(4)`` makes copies, as far as they would really be apart, and says how many there are.
3. ``with replicas.borrowed() as module:`` is one pass.
"""

import copy
import logging
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from indexer.network.passes.sharing import shared_state
from indexer.system.user_code import described

log = logging.getLogger(__name__)


class Replicas:
    """A module and copies of it, each of which one pass has at a time. Safe from any thread."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._free: queue.LifoQueue[nn.Module] = queue.LifoQueue()
        self._free.put(module)
        self._whole: str | None = None
        self.count = 1

    @contextmanager
    def borrowed(self) -> Iterator[nn.Module]:
        """A copy for one pass; waits until one is free."""
        module = self._free.get()
        try:
            yield module
        finally:
            self._free.put(module)

    def spread(self, count: int) -> int:
        """Make copies until there are ``count`` modules in all; return how many there are.

        If a copy cannot be made, or would share more than parameters, the module stays alone and the log says why.
        No pass may run meanwhile.
        """
        while self.count < count and self._whole is None:
            made, self._whole = apart(self._module)
            if made is None:
                log.warning("unitscope: forward passes run one at a time: %s", self._whole)
                break
            self._free.put(made)
            self.count += 1
        return self.count

    def unite(self, reason: str) -> None:
        """Go back to the module alone, for this reason. No pass may run meanwhile."""
        log.warning("unitscope: forward passes run one at a time: %s", reason)
        self._free, self._whole, self.count = queue.LifoQueue(), reason, 1
        self._free.put(self._module)


def apart(module: nn.Module) -> tuple[nn.Module, None] | tuple[None, str]:
    """A copy that shares parameters and nothing else that a pass could change, or why there is none."""
    if any(isinstance(part, torch.jit.ScriptModule) for part in module.modules()):
        return None, "a scripted module does not share its parameters with copies"
    try:
        made = copy.deepcopy(module, sharing_parameters(module))
    except Exception as error:  # a module may refuse to be copied
        return None, f"the network cannot be copied: {described(error)}"
    shared = shared_state(module, made)
    return (None, shared) if shared else (made, None)


def sharing_parameters(module: nn.Module) -> dict[int, Any]:
    """A memo for `copy.deepcopy` with which a copy of the module has the module's own parameters.

    It also holds copies of tensors that were computed from parameters, because torch refuses to copy those. Pruning and
    the older weight norm keep such tensors as attributes.
    """
    memo: dict[int, Any] = {id(parameter): parameter for parameter in module.parameters()}
    for part in module.modules():
        for value in _tensors_in(list(vars(part).values())):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return memo


def _tensors_in(values: list[Any], depth: int = 3) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif depth and isinstance(value, (list, tuple, dict)):
            yield from _tensors_in(list(value.values()) if isinstance(value, dict) else list(value), depth - 1)
