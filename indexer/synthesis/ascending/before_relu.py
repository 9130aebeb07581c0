"""What a layer's output was before the ReLU that ends it.

Behind a ReLU, a neuron that does not fire has no gradient, so ascent from a grey image would stay where it is.
"""

from collections.abc import Callable, Collection
from typing import Any, Final

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

_RELUS: Final = (functional.relu, functional.relu_, torch.relu, torch.relu_, torch.Tensor.relu, torch.Tensor.relu_)
_IN_PLACE: Final = (functional.relu_, torch.relu_, torch.Tensor.relu_)
_COMMUTING: Final = (
    torch.cat, torch.concat, torch.max_pool2d, functional.max_pool2d, functional.dropout, torch.flatten,
    torch.Tensor.flatten,
)  # fmt: skip
"""Functions for which f(relu(x)) is relu(f(x))."""


class BeforeReLU(TorchFunctionMode):
    """Within it, `before` knows the values before the ReLU of whatever a network has computed.

    It also looks through what may follow a ReLU without a change of sign: concatenation, max pooling, flattening.
    A ReLU inside TorchScript is not seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sources: dict[int, tuple[torch.Tensor, Callable[[], torch.Tensor]]] = {}

    def before(self, output: object) -> object:
        """The values before the ReLU; the output itself where no ReLU ends it."""
        known = self._sources.get(id(output))
        return output if known is None else known[1]()

    def __torch_function__(
        self, func: Any, types: Collection[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _RELUS:
            return self._relu(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in _COMMUTING and args and isinstance(result, torch.Tensor):
            self._look_through(func, args, kwargs, result)
        return result

    def _relu(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        source: torch.Tensor = args[0] if args else kwargs["input"]
        rewrites = func in _IN_PLACE or kwargs.get("inplace") or args[1:2] == (True,)
        before = source.clone() if rewrites else source
        result: torch.Tensor = func(*args, **kwargs)
        self._sources[id(result)] = (result, lambda: before)
        return result

    def _look_through(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: torch.Tensor) -> None:
        first, *others = args
        if isinstance(first, torch.Tensor):
            if id(first) in self._sources and result is not first:
                self._sources[id(result)] = (result, lambda: func(self.before(first), *others, **kwargs))
        elif all(id(part) in self._sources for part in first):
            self._sources[id(result)] = (result, lambda: func([self.before(part) for part in first], *others, **kwargs))
