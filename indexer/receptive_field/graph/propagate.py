"""Sends the flow of an image through a graph, one node after the other."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from indexer.images.input_size import channels_of
from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import reach as reaches
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.flow.masks import hand_on, hides
from indexer.receptive_field.flow.progression import Progression
from indexer.receptive_field.parts import MARK, token_of
from indexer.receptive_field.rules import attention, mixing, pointwise, resizing, shapes, spread, windows
from indexer.receptive_field.rules.registry import FUNCTIONS, METHODS, MODULES, Rule, Site, Unsupported
from indexer.receptive_field.rules.shapes import select

RULE_FILES = (attention, mixing, pointwise, resizing, shapes, spread, windows)

# Two images: with one, an operation that mixes the batch with rows or columns would look like one that does not.
BATCH = 2


@dataclass(frozen=True)
class Value:
    """A tensor that depends on the input.

    Attributes
    ----------
    tensor : torch.Tensor
        Its shape and type, on the meta device.
    flow : Flow or str
        What it sees, or why that is not known.
    """

    tensor: torch.Tensor
    flow: Flow | str


def image_value(size: tuple[int, int], dtype: torch.dtype) -> Value:
    """The input: images (BATCH, channels, height, width), every pixel of which sees itself."""
    height, width = size
    tensor = torch.empty(BATCH, channels_of(size), height, width, dtype=dtype, device="meta")
    pixels = reaches.of_pixels(height, width)
    axes = {"y": Progression(), "x": Progression()}
    return Value(tensor, Flow(roles.image_dims(*tensor.shape), pixels, pixels, axes))


def propagate(root: nn.Module, nodes: Iterable[fx.Node], image: Value, wanted: set[fx.Node]) -> dict[fx.Node, Any]:
    """The values of the wanted nodes, each as it was when its node had run.

    Parameters
    ----------
    nodes : iterable of fx.Node
        In order, with results, as `LayerTracer` makes them.

    Returns
    -------
    dict of node to Value, or to a tuple or a constant where the node gives one
    """
    values: dict[fx.Node, Any] = {}
    finished: dict[fx.Node, Any] = {}
    for node in nodes:
        if len(finished) == len(wanted):
            break
        values[node] = _value(root, node, values, image)
        if node in wanted:
            finished[node] = values[node]
    return finished


def part_of(value: Any, key: str) -> Any:
    """The part of a node's value to which the rest of a layer's key leads; None where the graph does not know it."""
    if not key:
        return value
    if isinstance(value, tuple):
        number, _, rest = key.partition(MARK)
        return part_of(value[int(number)], rest) if number.isdecimal() and int(number) < len(value) else None
    token = token_of(key)
    if token is None or not isinstance(value, Value) or value.tensor.dim() != 3 or token >= value.tensor.shape[1]:
        return None
    return Value(value.tensor[:, token], value.flow if isinstance(value.flow, str) else select(value.flow, 1, token))


def _value(root: nn.Module, node: fx.Node, values: dict[fx.Node, Any], image: Value) -> Any:
    result = node.meta["result"]
    if node.op == "placeholder" and result is not None and not values:
        return image
    args = fx.node.map_arg(node.args, values.__getitem__)
    kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
    if node.target in (operator.getitem, getattr) and type(args[0]) is tuple:
        return _picked(node, args[0])
    if not _values([args, kwargs]) or not any(isinstance(each, torch.Tensor) for each in _flat(result)):
        hand_on(result, _flat([args, kwargs]))
        return result
    produced = _with_flows(result, _flows(root, node, args, kwargs, result))
    if _is_in_place(node) and isinstance(args[0], Value) and isinstance(produced, Value):
        _change_in_place(values, args[0].tensor, produced, _name(node, root))
    return produced


def _change_in_place(values: dict[fx.Node, Any], changed: torch.Tensor, produced: Value, name: str) -> None:
    """Give the new flow to all names of the changed tensor; the flow of views of its parts is no longer known."""
    for node, value in values.items():
        if isinstance(value, Value) and _storage(value.tensor) == _storage(changed):
            same = _layout(value.tensor) == _layout(changed)
            values[node] = produced if same else Value(value.tensor, f"{name} changes a part of it in place")


def _layout(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.storage_offset()


def _storage(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _picked(node: fx.Node, items: tuple[Any, ...]) -> Any:
    """The item that a node takes out of a tuple, by number or by name."""
    parent, result = node.args[0], node.meta["result"]
    assert isinstance(parent, fx.Node)
    if isinstance(result, tuple):
        return items[node.args[1]]  # type: ignore[index]
    return next(item for item, tensor in zip(items, parent.meta["result"], strict=True) if tensor is result)


def _is_in_place(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    if node.op == "call_function":
        return name.startswith("i") and getattr(node.target, "__module__", "") == "_operator"
    return node.op == "call_method" and name.endswith("_")


def _flows(root: nn.Module, node: fx.Node, args: Any, kwargs: Any, result: Any) -> Any:
    """The flows of the result by its rule, or the reason why they are not known."""
    given = [value.flow for value in _values([args, kwargs])]
    unknown = next((flow for flow in given if isinstance(flow, str)), None)
    if unknown:
        return unknown
    name = _name(node, root)
    rule, first = _rule(root, node)
    if rule is None:
        return f"{name} is an operation whose receptive field is not known"
    doubt = next((flow.doubt for flow in given if isinstance(flow, Flow) and flow.doubt), None)
    if any(hides(each) for each in _flat([args, kwargs])):
        doubt = doubt or f"{name} adds a mask that hides some places from others"
    try:
        flows = rule(Site(name, _shape(result)), *first, *_each(args, _flow), **_each(kwargs, _flow))
        return _doubted(flows, doubt)
    except Unsupported as reason:
        return str(reason) if reason.known is None else _doubted(reason.known, doubt or str(reason))
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        return f"{name} is used in a way that is not known: {error}"


def _doubted(flows: Any, doubt: str | None) -> Any:
    change = lambda flow: replace(flow, doubt=doubt) if isinstance(flow, Flow) else flow  # noqa: E731
    return _each(flows, change) if doubt else flows


def _rule(root: nn.Module, node: fx.Node) -> tuple[Rule | None, list[Any]]:
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        kind = type_before_parametrizations(module) if is_parametrized(module) else type(module)
        return MODULES.get(kind), [module]
    table: dict[Any, Rule] = METHODS if node.op == "call_method" else FUNCTIONS
    return table.get(node.target), []


def _name(node: fx.Node, root: nn.Module) -> str:
    """The operation and where it runs, for a person."""
    if node.op == "call_module":
        return f"{type(root.get_submodule(str(node.target))).__name__} {node.target}".strip()
    operation = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = next((path for path, _ in reversed(stack) if path), "")
    return f"{operation} in {path}" if path else str(operation)


def _each(structure: Any, change: Callable[[Any], Any]) -> Any:
    """The same structure with each item changed that is not a tuple, list or dict."""
    if isinstance(structure, tuple) and not isinstance(structure, torch.Size):
        return tuple(_each(item, change) for item in structure)
    if isinstance(structure, list):
        return [_each(item, change) for item in structure]
    if isinstance(structure, dict):
        return {key: _each(item, change) for key, item in structure.items()}
    return change(structure)


def _flow(item: Any) -> Any:
    return item.flow if isinstance(item, Value) else item


def _flat(structure: Any) -> list[Any]:
    items: list[Any] = []
    _each(structure, items.append)
    return items


def _values(structure: Any) -> list[Value]:
    return [item for item in _flat(structure) if isinstance(item, Value)]


def _shape(result: Any) -> Any:
    if isinstance(result, torch.Tensor):
        return tuple(result.shape)
    return tuple(_shape(item) for item in result) if isinstance(result, (tuple, list)) else None


def _with_flows(result: Any, flows: Any) -> Any:
    """The result's tensors with their flows, plain where they have none; a reason holds for each."""
    if isinstance(result, (tuple, list)):
        matching = isinstance(flows, tuple) and len(flows) == len(result)
        parts = (
            flows if matching else [flows if isinstance(flows, str) else "it is one of several results"] * len(result)
        )
        return tuple(_with_flows(item, flow) for item, flow in zip(result, parts, strict=True))
    if flows is None or not isinstance(result, torch.Tensor):
        return result
    if isinstance(flows, Flow) and flows.shape != tuple(result.shape):
        return Value(result, f"the shape of the result, {tuple(result.shape)}, is not the expected {flows.shape}")
    return Value(result, flows)
