"""Which modules of a model are its layers."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches

import torch
from torch import nn

from indexer.errors import InvalidRequest
from indexer.images.input_size import channels_of
from indexer.index.layout import layer_file
from indexer.receptive_field.parts import place_of
from indexer.system.torchvision import torchvision
from indexer.system.user_code import of_user

_LONGEST = 240  # characters of a file's name, with room for endings
_EXITS = (nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, torchvision.ops.Permute)


def check_layers(model: nn.Module, layers: Sequence[str]) -> None:
    """Refuse names that are neither modules of the model nor parts of what they return, or that are named twice.

    Raises
    ------
    InvalidRequest
        With the names that come close, or all.
    """
    refuse_compiled(model)
    names = [name for name, _ in model.named_modules() if name]
    if not layers:
        raise InvalidRequest("no layer is named")
    for layer in layers:
        if place_of(layer, names) is None:
            close = get_close_matches(layer, names, n=8, cutoff=0.4) or names[:40]
            raise InvalidRequest(f"the model has no module {layer!r}; it has {', '.join(close)}")
        if list(layers).count(layer) > 1:
            raise InvalidRequest(f"layer {layer!r} is named twice")
        if len(layer_file(layer, "")) > _LONGEST:
            raise InvalidRequest(f"the name of layer {layer[:40]!r}… is too long for a file; name a module within it")
    _check_files(layers)


def whole_outputs(model: nn.Module, layers: Iterable[str]) -> list[str]:
    """Those of some layers that are all that a call of a module returns; the others are parts of it, or made of it."""
    names = {name for name, _ in model.named_modules()}
    return [layer for layer in layers if (place := place_of(layer, names)) is not None and not place.key]


def _check_files(layers: Sequence[str]) -> None:
    """Refuse layers that would meet in one file, on disks that do not tell A from a too."""
    for first, second in itertools.combinations(sorted(layers), 2):
        if first.casefold() == second.casefold() or second.startswith(f"{first}/"):
            raise InvalidRequest(f"layers {first!r} and {second!r} would have one file; put them into two indexes")


def refuse_compiled(model: nn.Module) -> None:
    """Refuse a network that is scripted or traced as a whole: nothing can look at its layers from outside.

    Raises
    ------
    InvalidRequest
    """
    if isinstance(model, torch.jit.ScriptModule):
        raise InvalidRequest(
            "the whole network is TorchScript (torch.jit.script or trace), which runs without calling its layers, so "
            "that they cannot be looked at; give the Python module with its weights, or export it with torch.export, "
            "or name a network in which Python calls scripted parts"
        )


def default_layers(model: nn.Module, input_size: tuple[int, int]) -> list[str]:
    """The last layer of each spatial stage, in the order they run.

    A stage is a run of modules whose maps share one height and width. Considered are the modules of the model and
    their children that run once and give a map; containers that span several stages, and what only reshapes a map
    for the classifier, are not.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode, on the CPU.
    input_size : (int, int)
        Height and width of the input.

    Raises
    ------
    InvalidRequest
        No module gives a map, or the model does not take images of this size.
    """
    refuse_compiled(model)
    stages: list[tuple[tuple[int, int], str]] = []
    sizes = _map_sizes(model, input_size)
    for name, size in sizes.items():
        children = {other_size for other, other_size in sizes.items() if other.startswith(f"{name}.")}
        if len(children | {size}) > 1:
            continue
        if stages and stages[-1][0] == size:
            stages.pop()
        stages.append((size, name))
    if not stages:
        raise InvalidRequest("the model has no module whose output is a map; name the layers")
    return [name for _, name in stages]


def _map_sizes(model: nn.Module, input_size: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """The last two sides of each candidate's output, in the order the modules end."""
    height, width = input_size
    outputs: dict[str, list[tuple[int, int]]] = {}

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, torch.Tensor) and output.dim() == 4 and min(output.shape[1:]) > 1:
                outputs.setdefault(name, []).append((output.shape[2], output.shape[3]))

        return hook

    candidates = [
        (name, module)
        for name, module in model.named_modules()
        if name and name.count(".") <= 1 and not isinstance(module, _EXITS)
    ]
    handles = [nn.Module.register_forward_hook(module, note(name)) for name, module in candidates]  # see `run_pass`
    hint = f"it was given {channels_of(input_size)} channels, and --channels says how many it takes"
    try:
        with torch.inference_mode(), of_user(f"the model, given an image of height {height} and width {width},", hint):
            model(torch.zeros(1, channels_of(input_size), *input_size))
    finally:
        for handle in handles:
            handle.remove()
    return {name: sizes[0] for name, sizes in outputs.items() if len(sizes) == 1}
