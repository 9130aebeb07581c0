"""A model's graph, traced on a copy that holds no weights."""

import operator
import threading
import warnings
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import Any

import torch
from torch import fx, nn

from indexer.images.input_size import channels_of
from indexer.receptive_field.flow.masks import mark_mask
from indexer.receptive_field.graph.copies import is_ours, is_torchs, plain_copy, weightless
from indexer.receptive_field.parts import located, place_of

__all__ = [
    "LayerTracer",
    "floating_dtype",
    "is_leaf",
    "output_nodes",
    "plain_copy",
    "rest_of_key",
    "traced",
    "weightless",
]


class _Caller(nn.Module):
    """Calls the model as anybody does, so that its hooks are traced too, and a forward that takes *args.

    It stands in for the model by all names: those of the graph are the model's own.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        vars(self)["_called_by_tracer"] = model  # not as a submodule, which would add a part to all names

    def forward(self, image: Any) -> Any:
        return self._model(image)

    @property
    def _model(self) -> nn.Module:
        model: nn.Module = vars(self)["_called_by_tracer"]
        return model

    def named_modules(self, *args: Any, **kwargs: Any) -> Any:
        return self._model.named_modules(*args, **kwargs)

    def named_children(self) -> Any:
        return self._model.named_children()

    def named_parameters(self, *args: Any, **kwargs: Any) -> Any:
        return self._model.named_parameters(*args, **kwargs)

    def named_buffers(self, *args: Any, **kwargs: Any) -> Any:
        return self._model.named_buffers(*args, **kwargs)

    def get_submodule(self, target: str) -> nn.Module:
        return self._model.get_submodule(target)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


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
        return int(self.result.dim())

    def numel(self) -> int:
        return int(self.result.numel())

    def __len__(self) -> int:
        return len(self.result)

    def __iter__(self) -> Iterator[Any]:
        return (operator.getitem(self, index) for index in range(len(self.result)))


_ONE_AT_A_TIME = threading.RLock()


class LayerTracer(fx.Tracer):
    """Traces through every module that is not torch's own, and notes what each module returned.

    Each node is run without weights when it is made; `node.meta["result"]` holds the result, with all its shapes.

    torch.fx replaces methods of `nn.Module` for all threads while it traces, and puts back what it found. So one tracer
    traces at a time, and modules that other threads run meanwhile are not its own.

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
        self._thread = threading.get_ident()

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        with _ONE_AT_A_TIME:
            self._thread = threading.get_ident()
            return super().trace(_Caller(root), concrete_args)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_leaf(m)

    def call_module(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._is_aside():
            return forward(*args, **kwargs)
        result = self._leaf(m, forward, args, kwargs) if is_leaf(m) else super().call_module(m, forward, args, kwargs)
        self.returned.setdefault(self.path_of_module(m), []).append(result)
        return result

    def _leaf(self, m: nn.Module, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One node for the module, and its hooks traced around it."""
        if any(own_hooks(inner) for inner in m.modules() if inner is not m):
            raise NotImplementedError(f"there are hooks within {type(m).__name__}, which is not traced through")
        for key, hook in m._forward_pre_hooks.items():
            if is_torchs(hook):
                self._set_weights(hook, m)
            elif key in m._forward_pre_hooks_with_kwargs:
                args, kwargs = hook(m, args, kwargs) or (args, kwargs)
            elif (changed := hook(m, args)) is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
        result = super().call_module(m, forward, args, kwargs)
        for key, hook in m._forward_hooks.items():
            given = (m, args, kwargs, result) if key in m._forward_hooks_with_kwargs else (m, args, result)
            changed = hook(*given)
            result = result if changed is None else changed
        return result

    def _set_weights(self, hook: Any, m: nn.Module) -> None:
        self._running = True
        try:
            hook(m, ())
        finally:
            self._running = False

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._is_aside() else super().getattr(attr, attr_val, parameter_proxy_cache)

    def _is_aside(self) -> bool:
        """Whether a module is run, and not traced: by a node that is made, or by another thread."""
        return self._running or threading.get_ident() != self._thread

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
            return self.root.get_submodule(str(node.target)).forward(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], str(node.target))(*args[1:], **kwargs)
        return node.target(*args, **kwargs) if callable(node.target) else args[0]


def traced(model: nn.Module, input_size: tuple[int, int], images: int = 1) -> LayerTracer | None:
    """A tracer that has followed a model, given so many images of this height and width; None where torch.fx cannot."""
    tracer = LayerTracer(
        torch.empty(images, channels_of(input_size), *input_size, dtype=floating_dtype(model), device="meta")
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tracer.trace(weightless(model))
    except Exception:  # tracing runs the model's own code
        return None
    return tracer


def is_leaf(module: nn.Module) -> bool:
    """Whether a module is one of torch's own, which have rules and are not traced through."""
    containers = (nn.Sequential, nn.ModuleList, nn.ModuleDict, nn.DataParallel)
    ours = type(module).__module__.startswith("torch.nn") and "forward" not in vars(module)
    return ours and not isinstance(module, containers)


def own_hooks(module: nn.Module) -> bool:
    """Whether the model's code has put hooks on a module."""
    hooks = (*module._forward_pre_hooks.values(), *module._forward_hooks.values())
    return any(not is_torchs(hook) and not is_ours(hook) for hook in hooks)


def _attribute(root: Any, path: str) -> Any:
    value = reduce(getattr, path.split("."), root)
    return mark_mask(value.to("meta"), value) if isinstance(value, torch.Tensor) else value


def output_nodes(tracer: LayerTracer, layers: Sequence[str]) -> dict[str, fx.Node | None]:
    """The node whose value holds each layer's output; None where it is no value of the graph.

    Layers whose modules were not reached are left out.
    """
    return {layer: node for layer in layers for node, _ in _found(tracer, layer)}


def rest_of_key(tracer: LayerTracer, layer: str) -> str:
    """The key that leads from the value of a layer's node to the layer's output; empty where they are the same."""
    return next(rest for _, rest in _found(tracer, layer))


def _found(tracer: LayerTracer, layer: str) -> Iterator[tuple[fx.Node | None, str]]:
    place = place_of(layer, tracer.returned)
    if place is not None:
        results = tracer.returned[place.module]
        result = results[place.call or 0] if (place.call or 0) < len(results) else None
        found, rest = located(result, place.key) if place.key else (result, "")
        yield found.node if isinstance(found, fx.Proxy) else None, rest


def floating_dtype(model: nn.Module) -> torch.dtype:
    """The type of the model's weights, which its input must have."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.get_default_dtype())
