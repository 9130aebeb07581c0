"""torch without its compiler, which takes seconds to load, and which nothing here uses.

torch and torchvision load it for a function of its own where they need to know no more than that it isn't in use. While
`kept_out` lasts, modules of it have stand-ins with such functions. What is asked of a stand-in besides, as by code that
compiles, comes from the module itself, which is loaded then and takes the stand-in's place.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_Function = Callable[..., Any]


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name in _INSTEAD[self.__name__]:
            return _INSTEAD[self.__name__][name]
        if name.startswith("__") and not (name == "__path__" and self.__name__ == "torch._dynamo"):
            raise AttributeError(name)
        return getattr(_loaded(self.__name__), name)


def _loaded(name: str) -> ModuleType:
    """The module itself; no stand-in is left."""
    _end_stand_ins()
    return import_module(name)


def _end_stand_ins() -> None:
    for name in _INSTEAD:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: _Function, *arguments: Any, **keywords: Any) -> _Function:
    """`torch._dynamo.disable`: no compiler changes a function before one is loaded."""

    def disabled(*args: Any, **kwargs: Any) -> Any:
        compiler = sys.modules.get("torch._dynamo")
        if compiler is None or isinstance(compiler, _StandIn):
            return function(*args, **kwargs)
        return compiler.disable(function, *arguments, **keywords)(*args, **kwargs)

    return disabled


def _is_compile_supported(device_type: str) -> Any:
    return _loaded("torch._dynamo.utils").is_compile_supported(device_type)


_INSTEAD: Final[dict[str, dict[str, _Function]]] = {
    "torch._dynamo": {"disable": _disable},
    "torch._dynamo.utils": {"is_compile_supported": _is_compile_supported},
}


@contextmanager
def kept_out() -> Iterator[None]:
    """Load the compiler only for what no stand-in has. torch must be imported before."""
    for name in _INSTEAD:
        sys.modules.setdefault(name, _StandIn(name))
    try:
        yield
    finally:
        _end_stand_ins()
