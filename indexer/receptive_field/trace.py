"""Traces the receptive fields of a model's layers."""

import difflib
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest, UnitscopeError

from .field import LayerTrace
from .graph import LayerTracer, floating_dtype, is_leaf, output_nodes, plain_copy, weightless
from .propagate import Value, image_value, propagate
from .readout import dims_by_rank, layer_trace, unsupported


def trace_layers(model: nn.Module, layers: Sequence[str], input_size: tuple[int, int]) -> dict[str, LayerTrace]:
    """The receptive fields of a model's layers and the meaning of their dimensions.

    No other thread may run a model meanwhile: torch.fx replaces `nn.Module.__call__` while it traces.

    Parameters
    ----------
    model : nn.Module
        Maps images (N, 3, height, width) to anything. It is neither changed nor, where it can be traced, run.
    layers : sequence of str
        Names as in `named_modules()`. A layer's output is what its module returns in evaluation mode.
    input_size : (int, int)
        Height and width of the input in pixels.

    Returns
    -------
    dict of str to LayerTrace
        In the order of `layers`.

    Raises
    ------
    InvalidRequest
        No such layer, a layer that is not run or runs several times, or a size that the model does not take.
    """
    size = _checked_size(input_size)
    _check_names(model, layers)
    if not layers:
        return {}
    try:
        root = weightless(model)
    except Exception as error:  # a module may refuse to be copied
        return {layer: unsupported(f"the model cannot be copied: {_line(error)}", ()) for layer in layers}
    return _traced(model, root, layers, size)


def _traced(model: nn.Module, root: nn.Module, layers: Sequence[str], size: tuple[int, int]) -> dict[str, LayerTrace]:
    image = image_value(*size, floating_dtype(model))
    tracer = LayerTracer(image.tensor)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the model warns of, it will say when it runs
            tracer.trace(root)
        failure = "it lies within one of torch's modules that is not traced through"
        certain = [layer for layer in layers if not _is_hidden(root, layer)]
        _check_calls({layer: len(tracer.returned.get(layer, ())) for layer in certain})
        unsure = [layer for layer in layers if layer not in certain]
    except UnitscopeError:
        raise
    except Exception as error:  # tracing runs the model's own code
        failure = f"torch.fx cannot trace the model so far: {_line(error)}"
        unsure = list(layers)
    traces = _untraced(model, unsure, size, failure) if unsure else {}
    nodes = output_nodes(tracer, [layer for layer in layers if layer in tracer.returned])
    wanted = {node for node in nodes.values() if node is not None}
    values = {None: ()} | propagate(root, tracer.graph.nodes, image, wanted)
    traces |= {layer: _read(values[node], size) for layer, node in nodes.items()}
    return {layer: traces[layer] for layer in layers}


def _read(value: Any, size: tuple[int, int]) -> LayerTrace:
    if isinstance(value, torch.Tensor):
        return unsupported("its output does not depend on the input", dims_by_rank(value.dim()))
    if not isinstance(value, Value):
        return unsupported("its output is not a single tensor", ())
    if isinstance(value.flow, str):
        return unsupported(value.flow, dims_by_rank(value.tensor.dim()))
    return layer_trace(value.flow, size)


def _checked_size(input_size: Sequence[int]) -> tuple[int, int]:
    values = tuple(input_size)
    if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
        raise InvalidRequest(f"input_size is {input_size!r}; it must be height and width, two whole numbers above 0")
    return values[0], values[1]


def _check_names(model: nn.Module, layers: Sequence[str]) -> None:
    known = [name for name, _ in model.named_modules() if name]
    for layer in layers:
        if layer not in known:
            close = difflib.get_close_matches(layer, known, n=5, cutoff=0.5)
            others = [name for name in known if name not in close][: 30 - len(close)]
            more = "" if len(known) <= 30 else f" and {len(known) - len(close) - len(others)} more"
            raise InvalidRequest(f"the model has no layer {layer!r}; it has {', '.join(close + others)}{more}")


def _is_hidden(root: nn.Module, layer: str) -> bool:
    """Whether the layer lies within one of torch's own modules, which are not traced through."""
    parts = layer.split(".")
    return any(is_leaf(root.get_submodule(".".join(parts[:end]))) for end in range(1, len(parts)))


def _check_calls(calls: dict[str, int]) -> None:
    for layer, count in calls.items():
        if count == 0:
            raise InvalidRequest(f"layer {layer!r} is not run by the model in evaluation mode; choose another")
        if count > 1:
            parent = layer.rpartition(".")[0]
            advice = f"choose its parent {parent!r}" if parent else "choose the module before or after it"
            raise InvalidRequest(f"layer {layer!r} runs {count} times in a forward pass; {advice}")


def _untraced(model: nn.Module, layers: Sequence[str], size: tuple[int, int], reason: str) -> dict[str, LayerTrace]:
    """Layers whose fields are not known, with what a forward pass of a copy says about their outputs."""
    running = plain_copy(model)
    outputs: dict[str, list[Any]] = {layer: [] for layer in layers}
    device = next((p.device for p in running.parameters()), torch.device("cpu"))
    image = torch.zeros(1, 3, *size, dtype=floating_dtype(running), device=device)
    with torch.no_grad(), _noted(running, outputs):
        try:
            running(image)
        except Exception as error:  # the model's own code
            raise InvalidRequest(
                f"the model does not take images of height {size[0]} and width {size[1]}: {_line(error)}"
            ) from error
    _check_calls({layer: len(ranks) for layer, ranks in outputs.items()})
    return {layer: unsupported(reason, dims_by_rank(ranks[0])) for layer, ranks in outputs.items()}


@contextmanager
def _noted(model: nn.Module, outputs: dict[str, list[Any]]) -> Iterator[None]:
    """Notes the rank of each output of the named layers, 0 where it is no tensor."""

    def note(ranks: list[int]) -> Any:
        return lambda module, args, out: ranks.append(out.dim() if isinstance(out, torch.Tensor) else 0)

    handles = [model.get_submodule(layer).register_forward_hook(note(ranks)) for layer, ranks in outputs.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _line(error: Exception) -> str:
    """The first line of an error's message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
