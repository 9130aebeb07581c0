"""What two copies of a network would share besides parameters.

`copy.deepcopy` copies what modules hold, hooks that are methods included. It does not copy functions, classes and
what these refer to: a dict that a hook closes over, a list at the top of a file, a default argument. Where such state
can be reached, and the network's code changes state of that kind, copies are not apart.

This reads the code; it runs none of it. It errs on the side of "shared": the price is that passes run one at a time.
"""

import dis
import functools
import sys
import types
import weakref
from collections import deque
from collections.abc import Iterator, MutableMapping, MutableSequence, MutableSet
from typing import Any

import numpy as np
import torch
from torch import nn

_LIBRARIES = frozenset(
    {"einops", "indexer", "numpy", "open_clip", "timm", "torch", "torchvision", "transformers"}
) | frozenset(sys.stdlib_module_names) - {"__main__"}
"""Packages whose networks are run by several threads at once already: torch's data parallel modules do."""
_CHANGING = frozenset({
    "__setattr__", "__setitem__", "add", "append", "appendleft", "clear", "difference_update", "discard", "eval",
    "exec", "extend", "extendleft", "globals", "insert", "intersection_update", "next", "pop", "popitem", "popleft",
    "push", "put", "put_nowait", "remove", "reverse", "set", "setattr", "setdefault", "sort", "update", "vars",
    "write"
})  # fmt: skip
_HARMLESS = frozenset({
    "_thread", "abc", "builtins", "contextvars", "datetime", "decimal", "enum", "fractions", "functools", "indexer",
    "logging", "numbers", "operator", "pathlib", "re", "threading", "timm", "torch", "torchvision", "transformers",
    "typing", "warnings"
})  # fmt: skip
"""Packages whose objects keep nothing of a pass, or keep it for each thread."""
_CONTAINERS = (MutableMapping, MutableSequence, MutableSet, deque, bytearray, np.ndarray)
_MOST = 200_000


def shared_state(module: nn.Module, replica: nn.Module) -> str | None:
    """What a module and its copy share that a pass may change, in a few words; None where nothing is."""
    mine, theirs = _owned(module), _owned(replica)
    if len(theirs) >= _MOST:
        return "the network holds too many objects to tell whether its copies are apart"
    tensors = {id(parameter) for parameter in module.parameters()}
    for key, value in theirs.items():
        if key in mine and key not in tensors and _can_change(value):
            return f"a {type(value).__name__} that the network holds is not copied with it"
        if isinstance(value, weakref.ReferenceType) and value() is not None and id(value()) not in theirs:
            return "a weak reference that the network holds leads from a copy to the network itself"
    reader = _Reader(set(theirs))
    for value in theirs.values():
        reader.instance(value)
    return reader.verdict()


def _owned(module: nn.Module) -> dict[int, Any]:
    """What a module holds, by identity: modules, containers, objects and what they hold in turn."""
    found: dict[int, Any] = {}
    waiting: list[Any] = [module]
    while waiting and len(found) < _MOST:
        value = waiting.pop()
        if id(value) in found or isinstance(value, (type, types.ModuleType, str, bytes, int, float, type(None))):
            continue
        found[id(value)] = value
        waiting += _held(value)
    return found


def _held(value: Any) -> list[Any]:
    if isinstance(value, MutableMapping | types.MappingProxyType):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return list(value)
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, types.MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, (torch.Tensor, types.FunctionType)):
        return []
    return list(getattr(value, "__dict__", {}).values())


def _can_change(value: Any) -> bool:
    """Whether a pass could keep something in a value; what torch and the standard library bring is taken to be safe."""
    if isinstance(value, (*_CONTAINERS, torch.Tensor, nn.Module)):
        return True
    return not _is_library(type(value)) and bool(getattr(value, "__dict__", None))


def _is_library(value: Any) -> bool:
    return (getattr(value, "__module__", None) or "builtins").partition(".")[0] in _LIBRARIES


def _is_harmless(value: Any) -> bool:
    name = type(value).__module__.partition(".")[0]
    return name in _HARMLESS and not isinstance(value, (torch.Generator, types.GeneratorType))


class _Reader:
    """Reads functions that a network may call, as far as they lead, and notes state and changes."""

    def __init__(self, owned: set[int]) -> None:
        self._owned = owned
        self._read: set[int] = set()
        self._classes: dict[type, set[str]] = {}
        self._mentioned = {"forward"}
        self._shared: str | None = None  # the first state that copies share
        self._object: str | None = None  # the first object of a class of one's own that they share
        self._changing: str | None = None  # the first function that changes state of some kind
        self._keeping: str | None = None  # the first method that sets an attribute of its own object
        self._certain: str | None = None

    def verdict(self) -> str | None:
        """Why copies are not apart, from all that was read; None where they are."""
        self._follow_names()
        if self._certain:
            return self._certain
        state, change = self._shared or self._object, self._changing
        if self._object and not change:
            state, change = self._object, self._keeping
        if not (state and change):
            return None
        return f"copies of the network would share {state}, and {change} changes things of its kind"

    def instance(self, value: Any) -> None:
        """Read what an object's class, or the object itself, may be called for."""
        if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, functools.partial)):
            return self._value(value, getattr(value, "__name__", "a hook"))
        for cls in type(value).__mro__:
            if not _is_library(cls):
                self._classes.setdefault(cls, set())
        return None

    def _follow_names(self) -> None:
        """Read the methods whose names any code that was read mentions, until there are no more."""
        before = -1
        while before != len(self._mentioned) + len(self._read) + len(self._classes):
            before = len(self._mentioned) + len(self._read) + len(self._classes)
            for cls, done in list(self._classes.items()):
                for name, value in list(vars(cls).items()):
                    if name not in done and self._is_called(name):
                        done.add(name)
                        self._member(cls, name, value)

    def _is_called(self, name: str) -> bool:
        special = name.startswith("__") and name.endswith("__")
        return name in self._mentioned or (special and name not in ("__init__", "__new__", "__setstate__"))

    def _member(self, cls: type, name: str, value: Any) -> None:
        value = getattr(value, "__func__", getattr(value, "fget", getattr(value, "func", value)))
        if isinstance(value, types.FunctionType):
            self._function(value)
        elif not (name.startswith("__") and name.endswith("__")):
            self._value(value, f"{cls.__name__}.{name}")

    def _value(self, value: Any, label: str) -> None:
        """Something that code reaches by a name: a global, what it closes over, a default."""
        value = getattr(value, "__wrapped__", value)
        if id(value) in self._owned and not isinstance(value, (types.FunctionType, functools.partial)):
            return
        if isinstance(value, types.FunctionType):
            if not _is_library(value):
                self._function(value)
        elif isinstance(value, types.MethodType):
            self._value(value.__func__, label)
            self._value(value.__self__, label)
        elif isinstance(value, functools.partial):
            for part in (value.func, *value.args, *value.keywords.values()):
                self._value(part, label)
        elif isinstance(value, type):
            if not _is_library(value):
                self._classes.setdefault(value, set())
                self._mentioned.add("__init__")
        elif isinstance(value, (tuple, frozenset)):
            for part in value:
                self._value(part, label)
        elif isinstance(value, nn.Module):
            if any(not _is_library(type(part)) or part._forward_hooks for part in value.modules()):
                self._certain = self._certain or f"{label} is a part of the network that is not copied with it"
        elif isinstance(value, (torch.Tensor, *_CONTAINERS)):
            self._shared = self._shared or label
        elif not isinstance(value, (types.ModuleType, types.BuiltinFunctionType)) and not _is_harmless(value):
            self._object = self._object or label
            self.instance(value)

    def _function(self, function: types.FunctionType) -> None:
        if id(function) in self._read:
            return
        self._read.add(id(function))
        own = function.__code__
        for name, cell in zip(own.co_freevars, function.__closure__ or (), strict=True):
            if name != "__class__":
                with_value = _content(cell)
                self._value(with_value, f"{name!r} around {function.__qualname__}")
        for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
            self._value(value, f"a default of {function.__qualname__}")
        for code in _codes(own):
            self._mentioned |= {*code.co_names}
            self._globals(function, code)
            self._changes(function, code)

    def _globals(self, function: types.FunctionType, code: types.CodeType) -> None:
        for name in code.co_names:
            value = function.__globals__.get(name)
            if isinstance(value, types.ModuleType) and not _is_library(value_of(value)):
                for inner in code.co_names:
                    self._value(vars(value).get(inner), f"{name}.{inner}")
            elif value is not None:
                self._value(value, name)

    def _changes(self, function: types.FunctionType, code: types.CodeType) -> None:
        name, steps = function.__qualname__, list(dis.get_instructions(code))
        for index, step in enumerate(steps):
            if step.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
                self._certain = self._certain or f"{name} changes the global {step.argval!r}"
            elif step.opname in ("STORE_DEREF", "DELETE_DEREF") and step.argval in function.__code__.co_freevars:
                self._certain = self._certain or f"{name} changes {step.argval!r} around it"
            elif step.opname in ("STORE_SUBSCR", "DELETE_SUBSCR", "STORE_SLICE"):
                self._changing = self._changing or name
            elif step.opname in ("STORE_ATTR", "DELETE_ATTR"):
                self._attribute(function, code, _target(steps, index), str(step.argval))
            elif step.opname.startswith(("LOAD_ATTR", "LOAD_METHOD", "LOAD_GLOBAL", "LOAD_NAME")):
                called = str(step.argval)
                if called in _CHANGING or (called.endswith("_") and not called.endswith("__")):
                    self._changing = self._changing or name

    def _attribute(
        self, function: types.FunctionType, code: types.CodeType, target: dis.Instruction | None, attribute: str
    ) -> None:
        """An attribute is set: of the method's own object, which is a copy's own, of a shared thing, or of another."""
        name = function.__qualname__
        kind = target.opname if target is not None else ""
        value = target.argval if target is not None else None
        value = value[-1] if isinstance(value, tuple) else value
        if kind.startswith("LOAD_FAST") and code.co_argcount and value == code.co_varnames[0]:
            self._keeping = self._keeping or name
        elif (
            kind.startswith(("LOAD_GLOBAL", "LOAD_NAME"))
            or (kind == "LOAD_DEREF" and value in function.__code__.co_freevars)
            or value == "__class__"
            or (kind.startswith(("CALL", "PRECALL")) and "type" in code.co_names)
        ):
            self._certain = self._certain or f"{name} sets {attribute!r} of something that copies would share"
        else:
            self._changing = self._changing or name


def _target(steps: list[dis.Instruction], index: int) -> dis.Instruction | None:
    """What loaded the object whose attribute is set by a step; also where the attribute is added to."""
    before = index - 1
    if before >= 0 and steps[before].opname in ("SWAP", "ROT_TWO"):
        while before >= 0 and steps[before].opname not in ("COPY", "DUP_TOP"):
            before -= 1
        before -= 1
    return steps[before] if before >= 0 else None


def value_of(module: types.ModuleType) -> Any:
    """A stand-in for a module that `_is_library` can judge by its name."""
    return types.SimpleNamespace(__module__=module.__name__)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    """The code of a function and of the functions within it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
