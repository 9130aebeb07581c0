"""A model's graph, traced on a copy that holds no weights."""

import copy
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import torch
from torch import fx, nn

_HOOKS = (
    "_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs",
    "_forward_hooks_always_called", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip


def plain_copy(model: nn.Module, memo: dict[int, Any] | None = None) -> nn.Module:
    """A copy of the model in evaluation mode and without hooks; the model stays as it is."""
    memo = memo or {}
    for module in model.modules():
        for name in _HOOKS:
            memo[id(getattr(module, name))] = OrderedDict()
    return copy.deepcopy(model, memo).eval()


def weightless(model: nn.Module) -> nn.Module:
    """A plain copy on the meta device, which holds shapes only."""
    memo: dict[int, Any] = {}
    for parameter in model.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    for buffer in model.buffers():
        memo[id(buffer)] = buffer.detach().to("meta")
    return plain_copy(model, memo)


class ShapedProxy(fx.Proxy):
    """Stands for a tensor whose shape is known, so that the model's code may compute with shapes and branch on them."""

    @property
    def result(self) -> Any:
        return self.node.meta["result"]

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.result, name)
        if isinstance(value, torch.Tensor):
            return self.tracer.create_proxy("call_function", getattr, (self, name), {})
        return super().__getattr__(name) if callable(value) else value

    def size(self, dim: int | None = None) -> Any:
        return self.result.size() if dim is None else self.result.size(dim)

    def dim(self) -> int:
        return self.result.dim()

    def numel(self) -> int:
        return self.result.numel()

    def __len__(self) -> int:
        return len(self.result)

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self.result)))


class LayerTracer(fx.Tracer):
    """Traces through every module that is not torch's own, and notes what each module returned.

    Each node is run without weights when it is made; `node.meta["result"]` holds the result, with all its shapes.

    Attributes
    ----------
    returned : dict of str to list
        Module name to the results of its calls, in order: proxies, or structures of them.
    """

    def __init__(self, image: torch.Tensor) -> None:
        super().__init__()
        self.returned: dict[str, list[Any]] = {}
        self._image: torch.Tensor | None = image
        self._running = False

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._running:
            return forward(*args, **kwargs)
        result = super().call_module(m, forward, args, kwargs)
        self.returned.setdefault(self.path_of_module(m), []).append(result)
        return result

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def proxy(self, node: fx.Node) -> ShapedProxy:
        return ShapedProxy(node, self)

    def create_node(self, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(*args, **kwargs)
        self._running = True
        try:
            node.meta["result"] = self._run(node)
        finally:
            self._running = False
        return node

    def _run(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            image, self._image = self._image, None
            return image if image is not None else node.args[0] if node.args else None
        if node.op == "get_attr":
            return _attribute(self.root, str(node.target))
        args = fx.node.map_arg(node.args, lambda each: each.meta["result"])
        kwargs = fx.node.map_arg(node.kwargs, lambda each: each.meta["result"])
        if node.op == "call_module":
            return self.root.get_submodule(str(node.target))(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs) if callable(node.target) else args[0]


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one of torch's own, which have rules and are not traced through."""
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, containers)


def _attribute(root: Any, path: str) -> Any:
    value = reduce(getattr, path.split("."), root)
    return value.to("meta") if isinstance(value, torch.Tensor) else value


def output_nodes(tracer: LayerTracer, layers: Sequence[str]) -> dict[str, fx.Node | None]:
    """The node whose value each layer returns; None where it returns something else than one tensor."""
    results = {layer: tracer.returned[layer][0] for layer in layers}
    return {layer: result.node if isinstance(result, fx.Proxy) else None for layer, result in results.items()}


def floating_dtype(model: nn.Module) -> torch.dtype:
    """The type of the model's weights, which its input must have."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
