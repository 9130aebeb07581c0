"""Traces the receptive fields of a model's layers."""

import difflib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest, UnitscopeError
from indexer.images.input_size import InputSize, channels_of
from indexer.receptive_field.field import LayerTrace, ReceptiveField
from indexer.receptive_field.flow.dims import role_of
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.graph.propagate import Value, image_value, part_of, propagate
from indexer.receptive_field.graph.readout import layer_trace, unsupported
from indexer.receptive_field.graph.tracer import (
    LayerTracer,
    floating_dtype,
    is_leaf,
    output_nodes,
    own_hooks,
    rest_of_key,
    weightless,
)
from indexer.receptive_field.layout import Layout, check_layouts
from indexer.receptive_field.measuring.measure import measured, moved_unseen
from indexer.receptive_field.measuring.runner import Runner
from indexer.receptive_field.parts import Place, place_in, place_of
from indexer.receptive_field.rules.registry import Site
from indexer.receptive_field.rules.shapes import permute, reshape, section
from indexer.system.compiler import kept_out
from indexer.system.user_code import described

_PUBLISHED = ("torchvision.", "torch.")
"""Networks of these packages are not checked by running them, because the tests compare each of their layers."""


def trace_layers(
    model: nn.Module,
    layers: Sequence[str],
    input_size: tuple[int, int],
    layouts: Mapping[str, Layout] | None = None,
) -> dict[str, LayerTrace]:
    """The receptive fields of a model's layers and the meaning of their dimensions.

    Both come from the model's graph, as far as torch.fx can trace it. Beyond that, a copy of the model is run and both
    are measured. Exact fields of a person's own model are checked by changing parts of an image. No other thread may
    run a model meanwhile, because torch.fx replaces `nn.Module.__call__` while it traces.

    Parameters
    ----------
    model : nn.Module
        Maps images (N, channels, height, width) to anything. It is neither changed nor run; copies of it are.
    layers : sequence of str
        Names as in `named_modules()`, or of parts (`parts`). A layer's output is what its module returns in evaluation
        mode, or that part of it.
    input_size : (int, int)
        Height and width of the input in pixels; of three channels, unless it is an `InputSize` that says otherwise.
    layouts : mapping of str to Layout, optional
        Layers' dimensions, as a person says them.

    Returns
    -------
    dict of str to LayerTrace
        In the order of `layers`.

    Raises
    ------
    InvalidRequest
        There is no such layer, it does not run or runs several times, the model does not take this size, or the layout
        is not that of the layer.
    """
    size = _checked_size(input_size)
    _check_names(model, layers)
    layouts = layouts or {}
    check_layouts(layouts, layers)
    if not layers:
        return {}
    try:
        traces, certain = _traced(model, layers, size, layouts)
    except UnitscopeError:
        raise
    except Exception as error:  # a module may refuse to be copied
        failure = f"the model cannot be copied: {described(error)}"
        traces, certain = dict.fromkeys(layers, unsupported(failure, ())), set()
    traces = {layer: _told(layer, trace, layouts.get(layer)) for layer, trace in traces.items()}
    open_ = {layer for layer in layers if _is_open(traces[layer])}
    if open_ or len(certain) < len(layers) or _is_own(model):
        traces = _completed(model, traces, open_, size)
    return {layer: traces[layer] for layer in layers}


def _traced(
    model: nn.Module, layers: Sequence[str], size: tuple[int, int], layouts: Mapping[str, Layout]
) -> tuple[dict[str, LayerTrace], set[str]]:
    """The traces as the graph gives them, and the layers that are known to run once."""
    root = weightless(model)
    image = image_value(size, floating_dtype(model))
    tracer = LayerTracer(image.tensor)
    failure, certain = None, {layer for layer in layers if not _is_hidden(root, layer)}
    try:
        with kept_out(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the model warns of, it will say when it runs
            tracer.trace(root)
    except Exception as error:  # tracing runs the model's own code
        failure, certain = f"torch.fx cannot trace the model so far: {described(error)}", set()
    else:
        calls = {layer: len(tracer.returned.get(place_in(root, layer).module, ())) for layer in layers}
        check_calls(root, {layer: count for layer, count in calls.items() if layer in certain})
    reason = failure or "it lies within one of torch's modules that is not traced through"
    nodes = output_nodes(tracer, layers)
    wanted = {node for node in nodes.values() if node is not None}
    values = {None: ()} | propagate(root, tracer.graph.nodes, image, wanted)
    parts = {layer: part_of(values[node], rest_of_key(tracer, layer)) for layer, node in nodes.items()}
    traces = {layer: _read(layer, part, size, layouts.get(layer)) for layer, part in parts.items()}
    return {layer: traces.get(layer, unsupported(reason, ())) for layer in layers}, certain


def _is_own(model: nn.Module) -> bool:
    """Whether a part of the model, or a hook on it, is a person's own code."""
    return any(not type(part).__module__.startswith(_PUBLISHED) or own_hooks(part) for part in model.modules())


def _is_open(trace: LayerTrace) -> bool:
    """Whether something about the layer is to be measured."""
    return trace.field.kind == "unsupported" or "?" in trace.dims


def _read(layer: str, value: Any, size: tuple[int, int], layout: Layout | None) -> LayerTrace:
    if isinstance(value, torch.Tensor):
        return unsupported("its output does not depend on the input", ("?",) * value.dim())
    if not isinstance(value, Value):
        return unsupported("its output is not a single tensor", ())
    if isinstance(value.flow, str):
        return unsupported(value.flow, ("?",) * value.tensor.dim())
    trace = layer_trace(value.flow, size)
    if layout is not None and layout.order == "NTC" and trace.dims == layout.dims:
        return _tokens(layer, value.flow, layout, size)
    return trace


def _tokens(layer: str, flow: Flow, layout: Layout, size: tuple[int, int]) -> LayerTrace:
    """The field of tokens that are laid out as a map; by the graph, if it says the same of them."""
    if misfit := layout.misfit(flow.shape):
        raise InvalidRequest(f"layer {layer!r}: {misfit}")
    tokens = section(flow, 1, layout.prefix, flow.shape[1])
    channels = flow.shape[2]
    rows = reshape(Site(layer, (flow.shape[0], layout.rows, layout.columns, channels)), tokens)
    spread = permute(Site(layer, ()), rows, dims=(0, 3, 1, 2))
    roles = tuple(role_of(dim) for dim in spread.dims)
    if roles != ("N", "C", "y", "x"):
        whole = layer_trace(flow, size)
        return (
            whole
            if whole.field.kind == "whole input"
            else unsupported("the order of its tokens is not known", layout.dims)
        )
    return replace(layer_trace(spread, size), dims=layout.dims)


def _told(layer: str, trace: LayerTrace, layout: Layout | None) -> LayerTrace:
    """The trace with the layout that a person has given.

    Raises
    ------
    InvalidRequest
        The graph is sure of another one.
    """
    if layout is None:
        return trace
    if trace.dims and len(trace.dims) != len(layout.dims):
        raise InvalidRequest(
            f"layer {layer!r}: {layout} has {len(layout.dims)} dimensions and the output {len(trace.dims)}"
        )
    if any(known not in ("?", said) for known, said in zip(trace.dims, layout.dims, strict=False)):
        raise InvalidRequest(
            f"layer {layer!r}: the layout {layout} is not the layer's, whose dimensions are {', '.join(trace.dims)}"
        )
    return replace(trace, dims=layout.dims, layout=layout)


def _completed(
    model: nn.Module, traces: Mapping[str, LayerTrace], open_: set[str], size: tuple[int, int]
) -> dict[str, LayerTrace]:
    """The traces after running a copy: checked, and measured where the graph does not know."""
    traces = dict(traces)
    run = Runner(model, list(traces), size)
    with torch.no_grad():
        outputs = run(run.noise(1, 0))
    check_calls(model, run.calls)
    tensors = {layer for layer in traces if isinstance(outputs[layer][0], torch.Tensor)}
    for layer in set(traces) - tensors:
        traces[layer] = unsupported("its output is not a single tensor", ())
    for layer in tensors:
        _check_shape(layer, traces[layer], outputs[layer][0])
    unseen = moved_unseen(run, {layer: traces[layer] for layer in sorted(tensors - open_)})
    for layer in unseen:
        reason = "more changes than the graph of the model shows"
        traces[layer] = replace(traces[layer], field=ReceptiveField("unsupported", reason, None, None))
    wanted = {layer: traces[layer] for layer in traces if layer in tensors & (open_ | unseen)}
    return traces | (measured(model, wanted, size) if wanted else {})


def _check_shape(layer: str, trace: LayerTrace, output: torch.Tensor) -> None:
    if trace.layout is not None and (misfit := trace.layout.misfit(output.shape)):
        raise InvalidRequest(f"layer {layer!r}: {misfit}")


def _checked_size(input_size: Sequence[int]) -> tuple[int, int]:
    values = tuple(input_size)
    if len(values) != 2 or not all(isinstance(value, int) and value > 0 for value in values):
        raise InvalidRequest(f"input_size is {input_size!r}; it must be height and width, two whole numbers above 0")
    return InputSize(values[0], values[1], channels_of(input_size))


def _check_names(model: nn.Module, layers: Sequence[str]) -> None:
    known = [name for name, _ in model.named_modules() if name]
    for layer in layers:
        if place_of(layer, known) is None:
            close = difflib.get_close_matches(layer, known, n=5, cutoff=0.5)
            others = [name for name in known if name not in close][: 30 - len(close)]
            more = "" if len(known) <= 30 else f" and {len(known) - len(close) - len(others)} more"
            raise InvalidRequest(f"the model has no layer {layer!r}; it has {', '.join(close + others)}{more}")


def _is_hidden(root: nn.Module, layer: str) -> bool:
    """Whether the layer lies within one of torch's own modules, which are not traced through."""
    parts = place_in(root, layer).module.split(".")
    return any(is_leaf(root.get_submodule(".".join(parts[:end]))) for end in range(1, len(parts)))


def check_calls(model: nn.Module, calls: Mapping[str, int]) -> None:
    """Refuse layers that a forward pass does not run once; ``calls`` is how often each one's module runs.

    Raises
    ------
    InvalidRequest
    """
    for layer, count in calls.items():
        place = place_in(model, layer)
        if count == 0:
            raise InvalidRequest(f"layer {layer!r} is not run by the model in evaluation mode; choose another")
        if place.call is None and count > 1:
            parent = place.module.rpartition(".")[0]
            advice = f"choose its parent {parent!r}" if parent else "choose the module before or after it"
            first, last = (Place(place.module, place.key, call).layer for call in (0, count - 1))
            raise InvalidRequest(
                f"layer {layer!r} runs {count} times in a forward pass; name one of its calls, {first!r} to {last!r}, "
                f"or {advice}"
            )
        if place.call is not None and count == 1:
            once = Place(place.module, place.key).layer
            raise InvalidRequest(f"layer {layer!r}: {place.module!r} runs once in a forward pass; name it {once!r}")
        if place.call is not None and place.call >= count:
            raise InvalidRequest(
                f"layer {layer!r}: {place.module!r} runs {count} times in a forward pass, call0 to call{count - 1}"
            )
