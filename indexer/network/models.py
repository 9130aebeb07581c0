"""A model by name, with its weights and its preprocessing.

A model is a torchvision classification model (``squeezenet1_1``) or a person's own ``module:factory``, a callable
without arguments that returns a ``torch.nn.Module``, or a pair of it and its preprocessing (a `Preprocessing`, a dict
of its fields, or torchvision's ``ImageClassification``). Weights are ``DEFAULT`` or another of torchvision's names, a
state-dict file, or ``none``: of torchvision's models random ones, of a person's own those that it comes with.
"""

import hashlib
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import nn

from indexer.errors import InvalidRequest, ModelUnavailable
from indexer.images.preprocessing import Preprocessing

NO_WEIGHTS = "none"
RANDOM_SEED = 0
"""Seed of the random weights of ``--weights none``, so that the same network can be made again."""

# Built without their training-only parts; torchvision's weights of these two expect `transform_input`.
_CONSTRUCTION: dict[str, dict[str, Any]] = {
    "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": False},
    "inception_v3": {"aux_logits": False, "transform_input": True, "init_weights": False},
}
_TRAINING_ONLY = {"googlenet": ("aux1.", "aux2."), "inception_v3": ("AuxLogits.",)}


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes
    ----------
    name, weights : str
        As asked for; a weights file by its absolute path.
    module : nn.Module
        In evaluation mode, on the CPU.
    preprocessing : Preprocessing
    digest : str
        sha256 over the names, types, shapes and bytes of all parameters and buffers.
    categories : list of str
        What the model's outputs stand for, where that is known.
    """

    name: str
    weights: str
    module: nn.Module
    preprocessing: Preprocessing
    digest: str
    categories: list[str]


def is_own(name: str) -> bool:
    """Whether a model's name is ``module:factory``."""
    return ":" in name


def default_weights(name: str) -> str:
    """The weights of a model for which none are named: of a person's own, those that it comes with."""
    return NO_WEIGHTS if is_own(name) else "DEFAULT"


def load_model(name: str, weights: str) -> LoadedModel:
    """Load a model; see the module's description for what can be named.

    Raises
    ------
    InvalidRequest
        The name is unknown, or the weights do not fit the model.
    ModelUnavailable
        The weights cannot be read or downloaded.
    """
    if weights not in (NO_WEIGHTS, *_weight_names(name)):
        weights = str(Path(weights).resolve())
    module, preprocessing, categories = _own(name) if is_own(name) else _torchvision(name, weights)
    if weights != NO_WEIGHTS and Path(weights).is_absolute():
        _load_state(module, _read_state(Path(weights)), name, weights)
    module.eval().requires_grad_(False)
    return LoadedModel(name, weights, module, preprocessing, state_digest(module), categories)


def _weight_names(name: str) -> list[str]:
    if is_own(name):
        return []
    _check_torchvision_name(name)
    return ["DEFAULT", *(member.name for member in torchvision.models.get_model_weights(name))]


def _check_torchvision_name(name: str) -> None:
    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        raise InvalidRequest(
            f"no torchvision classification model is called {name!r}; there are {', '.join(known)}; "
            "your own is named module:factory"
        )


def _torchvision(name: str, weights: str) -> tuple[nn.Module, Preprocessing, list[str]]:
    members = torchvision.models.get_model_weights(name)
    known = members[weights] if weights in members.__members__ else members.DEFAULT
    if weights in _weight_names(name):
        module = _download(name, known)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(RANDOM_SEED)
            module = torchvision.models.get_model(name, weights=None, **_CONSTRUCTION.get(name, {}))
    return module, Preprocessing.from_torchvision(known.transforms()), list(known.meta["categories"])


def _download(name: str, weights: Any) -> nn.Module:
    try:
        return torchvision.models.get_model(name, weights=weights)
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(
            f"the weights {weights} could not be downloaded ({type(error).__name__}); "
            "give a state-dict file instead, or --weights none for random ones"
        ) from error


def _own(name: str) -> tuple[nn.Module, Preprocessing, list[str]]:
    module_name, _, factory_name = name.partition(":")
    if not module_name or module_name.startswith("."):
        raise InvalidRequest(f"{name!r} names no module; it must be module:factory")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        factory = getattr(importlib.import_module(module_name), factory_name)
    except (ImportError, AttributeError) as error:
        raise InvalidRequest(f"{name!r} cannot be imported ({error}); it must be module:factory") from error
    if not callable(factory):
        raise InvalidRequest(f"{name!r} is a {type(factory).__name__}, not a callable that returns the module")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        made = factory()
    module, preprocessing = made if isinstance(made, tuple) else (made, Preprocessing())
    if not isinstance(module, nn.Module):
        raise InvalidRequest(f"{name!r} returned {type(module).__name__}, not a torch.nn.Module")
    return module, _as_preprocessing(name, preprocessing), []


def _as_preprocessing(name: str, given: Any) -> Preprocessing:
    if isinstance(given, Preprocessing):
        return given
    if isinstance(given, dict):
        try:
            return Preprocessing.from_json(given)
        except TypeError as error:
            raise InvalidRequest(f"{name!r}: the preprocessing is wrong: {error}") from error
    if hasattr(given, "resize_size") and hasattr(given, "crop_size"):
        return Preprocessing.from_torchvision(given)
    raise InvalidRequest(
        f"{name!r}: preprocessing must be a Preprocessing, a dict of its fields or torchvision's ImageClassification; "
        f"from a {type(given).__name__} no way back to the original pixels is known"
    )


def _read_state(path: Path) -> dict[str, torch.Tensor]:
    if path.exists() and not path.is_file():
        raise InvalidRequest(f"{path} is no file")  # reading a pipe or a device would never end
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise ModelUnavailable(f"there is no weights file {path}") from error
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise InvalidRequest(f"{path} is not a state dict that can be loaded safely (weights_only)") from error
    if isinstance(state, dict) and isinstance(state.get("state_dict"), dict):
        state = state["state_dict"]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InvalidRequest(f"{path} holds no state dict (a mapping of names to tensors)")
    return {str(key).removeprefix("module."): value for key, value in state.items()}


def _load_state(module: nn.Module, state: dict[str, torch.Tensor], name: str, weights: str) -> None:
    unused = _TRAINING_ONLY.get(name, ())
    state = {key: value for key, value in state.items() if not key.startswith(unused)}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        first = "; ".join(line.strip() for line in str(error).splitlines()[1:4])
        raise InvalidRequest(f"{weights} does not fit {name}: {first[:600]}") from error


def state_digest(module: nn.Module) -> str:
    """sha256, in hexadecimal, over all parameters and buffers of a module."""
    digest = hashlib.sha256()
    for key, tensor in module.state_dict().items():
        digest.update(f"{key}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
