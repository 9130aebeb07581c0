"""Which modules of a model are its layers."""

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import nn

from indexer.errors import InvalidRequest


def check_layers(model: nn.Module, layers: Sequence[str]) -> None:
    """Refuse names that are not modules of the model, or that are named twice.

    Raises
    ------
    InvalidRequest
        With the names that come close, or all.
    """
    names = [name for name, _ in model.named_modules() if name]
    if not layers:
        raise InvalidRequest("no layer is named")
    for layer in layers:
        if layer not in names:
            close = get_close_matches(layer, names, n=8, cutoff=0.4) or names[:40]
            raise InvalidRequest(f"the model has no module {layer!r}; it has {', '.join(close)}")
        if list(layers).count(layer) > 1:
            raise InvalidRequest(f"layer {layer!r} is named twice")


def default_layers(model: nn.Module, input_size: tuple[int, int]) -> list[str]:
    """The last layer of each spatial stage, in the order they run.

    A stage is a run of modules, among those called once with a map as output, whose maps share one height and width.
    Containers stand for what they hold: of the modules that end with the same tensor the outermost is taken.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, on the CPU.
    input_size : (int, int)
        Height and width of the input.
    """
    outputs = _run(model, input_size)
    stages: list[tuple[tuple[int, int], str]] = []
    for name, tensor in outputs:
        if tensor.dim() != 4 or min(tensor.shape[2:]) < 2:
            continue
        size = (tensor.shape[2], tensor.shape[3])
        if stages and stages[-1][0] == size:
            stages.pop()
        stages.append((size, name))
    if not stages:
        raise InvalidRequest("the model has no module whose output is a map; name the layers")
    return [name for _, name in stages]


def _run(model: nn.Module, input_size: tuple[int, int]) -> list[tuple[str, torch.Tensor]]:
    outputs: list[tuple[str, torch.Tensor]] = []
    calls: dict[str, int] = {}

    def keep(name: str):
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(output, torch.Tensor):
                outputs.append((name, output.to("meta")))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    try:
        with torch.inference_mode():
            model(torch.zeros(1, 3, *input_size))
    finally:
        for handle in handles:
            handle.remove()
    # A container's hook runs after those of its parts, so the outermost of equals comes last and is the one kept.
    return [(name, tensor) for name, tensor in outputs if calls[name] == 1]
