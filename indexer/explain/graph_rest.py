"""The part of a traced graph that lies behind a layer, run from that layer's output alone.

A layer is a cut of the graph if every path from the image to the network's output goes through it. Then what lies
behind it needs nothing else.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import fx, nn

from indexer.receptive_field.graph.copies import is_torchs
from indexer.receptive_field.graph.tracer import LayerTracer, output_nodes

Change = Callable[[torch.Tensor], torch.Tensor]
"""From the output of a layer to what takes its place; it leaves its argument as it is."""


class GraphRest:
    """The nodes of a graph between the output of ``start`` and that of another layer.

    Parameters
    ----------
    tracer : LayerTracer
        It has followed the network.
    start, output : str
        Layers that run once.
    changed : str
        The layer whose output is changed: ``start``, or one behind it.
    """

    def __init__(self, tracer: LayerTracer, start: str, changed: str, output: str) -> None:
        found = output_nodes(tracer, [start, changed, output])
        self._constants = tracer.root
        self._start, self._changed, self._output = found[start], found[changed], found[output]
        self._nodes = _nodes_behind(tracer.graph, self._start, self._output)
        self._last = _last_readers(self._nodes)

    @property
    def is_cut(self) -> bool:
        """Whether the output needs nothing but the output of ``start``, and the changed layer lies between them."""
        known = {self._start, *self._nodes}
        return None not in known and self._output in known and self._changed in known

    def run(self, module: nn.Module, value: torch.Tensor, change: Change | None = None) -> torch.Tensor:
        """The output that follows from this output of ``start``, which what follows may rewrite.

        Parameters
        ----------
        module : nn.Module
            The network, whose weights are read.
        """
        values: dict[Any, Any] = {self._start: value}
        if change is not None and self._start is self._changed:
            values[self._start] = change(value)
        for node in self._nodes:
            values[node] = self._run(module, node, values)
            if change is not None and node is self._changed:
                values[node] = change(values[node])
            for read in self._last.get(node, ()):
                if read is not self._output:
                    values.pop(read, None)
        result: torch.Tensor = values[self._output]
        return result

    def _run(self, module: nn.Module, node: fx.Node, values: dict[fx.Node, Any]) -> Any:
        if node.op == "get_attr":
            return self._constant(module, str(node.target))
        args = fx.node.map_arg(node.args, values.__getitem__)
        kwargs = fx.node.map_arg(node.kwargs, values.__getitem__)
        if node.op == "call_module":
            return _call(module.get_submodule(str(node.target)), args, kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        assert callable(node.target)
        return node.target(*args, **kwargs)

    def _constant(self, module: nn.Module, path: str) -> Any:
        """A weight of the network, or a tensor that the network's code made while it was traced."""
        root = self._constants if path.startswith("_tensor_constant") else module
        return reduce(getattr, path.split("."), root)


def position(tracer: LayerTracer, layer: str) -> int:
    """Where a layer's output stands in the order of the graph; -1 where it is not one tensor of the graph."""
    node = output_nodes(tracer, [layer]).get(layer)
    return -1 if node is None else list(tracer.graph.nodes).index(node)


def _nodes_behind(graph: fx.Graph, start: fx.Node | None, output: fx.Node | None) -> list[fx.Node]:
    """The nodes that can run when the output of ``start`` is all that is known of the image, up to the output.

    Those that nobody reads are among them, because they may change in place what others read.
    """
    known, behind = {start}, []
    for node in graph.nodes if start is not output else ():
        if node is start or node.op in ("placeholder", "output"):
            continue
        if all(read in known for read in node.all_input_nodes):
            behind.append(node)
            known.add(node)
        if node is output:
            break
    return behind


def _last_readers(nodes: Sequence[fx.Node]) -> dict[fx.Node, list[fx.Node]]:
    """For each node the values that nobody reads after it."""
    last: dict[fx.Node, fx.Node] = {}
    for node in nodes:
        for read in node.all_input_nodes:
            last[read] = node
    ends: dict[fx.Node, list[fx.Node]] = {}
    for read, node in last.items():
        ends.setdefault(node, []).append(read)
    return ends


def _call(module: nn.Module, args: Any, kwargs: Any) -> Any:
    """A module without the hooks of the network's code, which are nodes of the graph."""
    for hook in module._forward_pre_hooks.values():
        if is_torchs(hook):
            hook(module, args)
    return module.forward(*args, **kwargs)
