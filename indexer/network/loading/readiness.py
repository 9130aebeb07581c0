"""A module made fit to be looked at: in evaluation mode, in float32, with all its parameters there."""

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from indexer.errors import InvalidRequest
from indexer.images.input_size import channels_of
from indexer.network.loading.torchvision_models import RANDOM_SEED
from indexer.system.user_code import of_user


def evaluating(module: nn.Module, name: str) -> None:
    """Put a module into evaluation mode; an exported one, which has no modes, stays as it was exported."""
    with of_user(f"{name}, put into evaluation mode,"):
        try:
            module.eval()
        except NotImplementedError:
            for part in module.modules():
                part.training = False
        for parameter in module.parameters():  # scripted modules have no method for it
            if not is_lazy(parameter):
                parameter.requires_grad_(False)


def in_float32(module: nn.Module, name: str) -> list[str]:
    """Turn parameters and buffers of other precisions into float32; say which there were."""
    kinds = {
        str(value.dtype).removeprefix("torch.")
        for value in [*module.parameters(), *module.buffers()]
        if value.dtype.is_floating_point and value.dtype != torch.float32
    }
    if not kinds:
        return []
    with of_user(f"{name}, turned into float32,"):
        module.float()
    return [f"{name} has weights in {' and '.join(sorted(kinds))}; it runs in float32"]


def is_unfinished(module: nn.Module) -> bool:
    """Whether lazy modules are still to learn their sizes."""
    return any(is_lazy(value) for value in [*module.parameters(), *module.buffers()])


def finish(module: nn.Module, name: str, input_size: tuple[int, int]) -> list[str]:
    """Let lazy modules learn their sizes from an input; say so."""
    if not is_unfinished(module):
        return []
    height, width = input_size
    with (
        torch.random.fork_rng(devices=[]),
        torch.no_grad(),
        of_user(
            f"{name}, given an input of height {height} and width {width} so that its lazy modules learn their sizes,"
        ),
    ):
        torch.manual_seed(RANDOM_SEED)
        module(torch.zeros(1, channels_of(input_size), height, width))
    evaluating(module, name)
    if is_unfinished(module):
        lazy = [key for key, value in module.named_parameters() if is_lazy(value)]
        raise InvalidRequest(f"lazy modules of {name} take no part in a forward pass: {', '.join(lazy[:3])}")
    return [f"{name} has lazy modules, which took their sizes from an input of {height} x {width}"]
