"""torch without its compiler, which takes seconds to load, and which nothing here uses.

torch and torchvision load parts of it, and sympy with them, where they need to know no more than that none is in use:
that nothing is compiled, that a number is not a symbol. While `kept_out` lasts, modules of these have stand-ins that
answer so about what is plain. What is asked of a stand-in besides, as by code that compiles, comes from the module
itself, which is loaded then and takes the stand-in's place.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any, Final

_Function = Callable[..., Any]
_COMPILER: Final = "torch._dynamo"
_SUPPORT: Final = "torch._dynamo.utils"
_SYMBOLS: Final = "torch.fx.experimental.symbolic_shapes"
_ALGEBRA: Final = "sympy"


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            if self.__name__ == _SYMBOLS and name.islower() and not name.startswith("_"):
                return _of_plain(name)
            if name in _INSTEAD[self.__name__]:
                return _INSTEAD[self.__name__][name]
        if name.startswith("__") and not (name == "__path__" and self.__name__ in (_COMPILER, _ALGEBRA)):
            raise AttributeError(name)
        return getattr(_loaded(self.__name__), name)


def _loaded(name: str) -> ModuleType:
    """The module itself. The compiler imports all the others, symbols sympy: those are themselves then too."""
    _end_stand_ins((name, _ALGEBRA) if name in (_SYMBOLS, _ALGEBRA) else _INSTEAD)
    return import_module(name)


def _end_stand_ins(names: Iterable[str]) -> None:
    for name in names:
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]


def _disable(function: _Function, *arguments: Any, **keywords: Any) -> _Function:
    """`torch._dynamo.disable`: no compiler changes a function before one is loaded."""

    def disabled(*args: Any, **kwargs: Any) -> Any:
        compiler = sys.modules.get(_COMPILER)
        if compiler is None or isinstance(compiler, _StandIn):
            return function(*args, **kwargs)
        return compiler.disable(function, *arguments, **keywords)(*args, **kwargs)

    return disabled


def _graph_break(*arguments: Any, **keywords: Any) -> None:
    """`torch._dynamo.graph_break`: outside of compiled code it does nothing."""


def _is_compile_supported(device_type: str) -> Any:
    return _loaded(_SUPPORT).is_compile_supported(device_type)


def _of_plain(name: str) -> _Function:
    """A function of `symbolic_shapes` that answers by itself where no argument is a symbol."""

    def function(*values: Any, **options: Any) -> Any:
        if name in _PLAIN and not options and all(map(_is_plain, values)):
            return _PLAIN[name](*values)
        return getattr(_loaded(_SYMBOLS), name)(*values, **options)

    return function


def _is_plain(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, (tuple, list)) and all(isinstance(one, int) for one in value))


def _equal(one: Any, other: Any) -> bool:
    return bool(one == other if isinstance(one, int) or isinstance(other, int) else list(one) == list(other))


class _OfSymbols(type):
    def __instancecheck__(cls, value: Any) -> bool:
        """Nothing is a symbol before somebody has loaded what makes them."""
        algebra = sys.modules.get(_ALGEBRA)
        return algebra is not None and not isinstance(algebra, _StandIn) and isinstance(value, algebra.Basic)


class _Basic(metaclass=_OfSymbols):
    """`sympy.Basic`."""


_PLAIN: Final[dict[str, _Function]] = {
    "expect_true": bool,
    "guard_or_false": bool,
    "guard_or_true": bool,
    "guarding_hint_or_throw": lambda value: value,
    "has_guarding_hint": lambda value: True,
    "is_nested_int": lambda value: False,
    "statically_known_true": bool,
    "sym_and": lambda *truths: all(truths),
    "sym_eq": _equal,
    "sym_or": lambda *truths: any(truths),
}
_INSTEAD: Final[dict[str, dict[str, Any]]] = {
    _COMPILER: {"disable": _disable, "graph_break": _graph_break},
    _SUPPORT: {"is_compile_supported": _is_compile_supported},
    _SYMBOLS: {},
    _ALGEBRA: {"Basic": _Basic},
}


@contextmanager
def kept_out() -> Iterator[None]:
    """Load the compiler only for what no stand-in has. torch must be imported before."""
    for name in _INSTEAD:
        sys.modules.setdefault(name, _StandIn(name))
    try:
        yield
    finally:
        _end_stand_ins(_INSTEAD)
