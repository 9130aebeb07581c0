"""Networks of a person's own: ``module:factory``, imported and called."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest
from indexer.index.loading import Loading
from indexer.inputs.forms import understood
from indexer.inputs.timm_config import from_timm, is_timm_config
from indexer.inputs.told import EXAMPLE, Told
from indexer.network.loading.made import Made
from indexer.network.loading.torchvision_models import RANDOM_SEED
from indexer.system.user_code import of_user


def make(name: str, loading: Loading) -> Made:
    """Call a factory. Random weights are the same every time.

    Raises
    ------
    InvalidRequest
        It cannot be imported or called, or gives no network.
    """
    factory = imported(name)
    keywords = loading.keywords
    _check_arguments(name, factory, keywords)
    with torch.random.fork_rng(devices=[]), of_user(f"the factory {name}"):
        torch.manual_seed(RANDOM_SEED)
        made = factory(**keywords)
    module, preprocessing = _parted(name, made)
    module, notes = _as_module(name, module)
    return Made(module, _told(name, module, preprocessing), notes=notes)


def imported(name: str) -> Callable[..., Any]:
    """A factory by its name, ``module:factory``.

    Raises
    ------
    InvalidRequest
    """
    module_name, _, factory_name = name.partition(":")
    if not module_name or module_name.startswith("."):
        raise InvalidRequest(f"{name!r} names no module; it must be module:factory")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with of_user(f"importing {module_name}"):
            found: Any = _import(module_name)
        for part in factory_name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"{name!r} cannot be imported ({error}); it must be module:factory") from error
    if not callable(found):
        raise InvalidRequest(f"{name!r} is a {type(found).__name__}, not a callable that returns the module")
    factory: Callable[..., Any] = found
    return factory


def _import(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if name == missing or name.startswith(f"{missing}."):
            raise InvalidRequest(
                f"{name} cannot be imported, as there is no module {missing!r}: it must "
                "be installed, or be a file of this folder or of "
                "one in PYTHONPATH"
            ) from error
        raise


def _check_arguments(name: str, factory: Callable[..., Any], keywords: dict[str, Any]) -> None:
    """Say what a call would stumble over by the arguments' names."""
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # some callables do not tell
        return
    shown = str(signature) if len(str(signature)) < 200 else f"{str(signature)[:200]}…"
    try:
        signature.bind(**keywords)
    except TypeError as error:
        raise InvalidRequest(
            f"the factory {name} takes {shown}: {error}; give arguments as --model-args key=value (a value is JSON "
            "or text)"
        ) from error


def _parted(name: str, made: Any) -> tuple[Any, Any]:
    if not isinstance(made, (tuple, list)):
        return made, None
    if len(made) != 2:
        raise InvalidRequest(
            f"{name!r} returned {len(made)} things; it must be the module, or it and its preprocessing: {EXAMPLE}"
        )
    return made[0], made[1]


def _as_module(name: str, module: Any) -> tuple[nn.Module, tuple[str, ...]]:
    if isinstance(module, torch.export.ExportedProgram):
        return unflattened(module, name), ("an exported program runs as it was exported",)
    if type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod"):
        return module._orig_mod, ("the network of torch.compile runs uncompiled, so that its layers can be looked at",)
    if isinstance(module, type) and issubclass(module, nn.Module):
        raise InvalidRequest(f"{name!r} returned the class {module.__name__}; name the class itself, or call it")
    if not isinstance(module, nn.Module):
        raise InvalidRequest(f"{name!r} returned {type(module).__name__}, not a torch.nn.Module")
    if isinstance(module, torch.fx.GraphModule) and not _calls_modules(module.graph):
        raise InvalidRequest(
            f"{name!r} returned a graph that calls functions and no modules, so that it has no layers to look at; "
            "return the exported program itself, or the network that it was made of"
        )
    return module, ()


def unflattened(program: torch.export.ExportedProgram, name: str) -> nn.Module:
    """An exported program as modules that call each other, whose names are those of the network it was made of."""
    with of_user(f"unflattening the exported program {name}"):
        return torch.export.unflatten(program)


def _calls_modules(graph: torch.fx.Graph) -> bool:
    return any(node.op == "call_module" and node.target != "_guards_fn" for node in graph.nodes)  # which checks sizes


def _told(name: str, module: nn.Module, preprocessing: Any) -> Told:
    config = getattr(module, "pretrained_cfg", None)
    if preprocessing is None and config is not None and is_timm_config(config):
        return from_timm(config, "the network's pretrained_cfg")
    return understood(preprocessing, f"the factory {name}")
