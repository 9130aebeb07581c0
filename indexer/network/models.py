"""A model by name, with its weights and its preprocessing.

A model is a torchvision classification model (``squeezenet1_1``), a person's own ``module:factory`` (see `factories`),
or the file of a program (see `programs`). Weights are ``DEFAULT`` or another of torchvision's names, a file, or
``none``. With ``none`` a torchvision model gets random weights, and a person's own model keeps those that it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from indexer.errors import InvalidRequest
from indexer.images.preprocessing import Preprocessing
from indexer.index.loading import PLAIN, Loading, is_own, is_program
from indexer.inputs.told import Told
from indexer.network.loading import factories, programs, torchvision_models
from indexer.network.loading.digest import state_digest
from indexer.network.loading.made import Made
from indexer.network.loading.readiness import evaluating, finish, in_float32
from indexer.weights.into import load_weights

NO_WEIGHTS = "none"


@dataclass(frozen=True)
class LoadedModel:
    """A model ready to run.

    Attributes
    ----------
    name, weights : str
        As asked for; files by their absolute paths.
    module : nn.Module
        In evaluation mode, on the CPU.
    preprocessing : Preprocessing
    digest : str
        sha256 over the names, types, shapes and bytes of all parameters and buffers; of a program over its file.
    categories : list of str
        What the model's outputs stand for, where that is known.
    loading : Loading
        As asked for.
    sources : dict of str to str
        Who told each field of the preprocessing.
    notes : tuple of str
        What a person should know of how it was loaded, a sentence each.
    """

    name: str
    weights: str
    module: nn.Module
    preprocessing: Preprocessing
    digest: str
    categories: list[str]
    loading: Loading = PLAIN
    sources: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def default_weights(name: str) -> str:
    """The weights of a model for which none are named: of a person's own, those that it comes with."""
    return NO_WEIGHTS if is_own(name) else "DEFAULT"


def load_model(
    name: str,
    weights: str,
    loading: Loading | None = None,
    preprocessing: Preprocessing | Mapping[str, Any] | None = None,
) -> LoadedModel:
    """Load a model; see the module's description for what can be named.

    Parameters
    ----------
    preprocessing : Preprocessing or mapping, optional
        All of it, whatever the model says; or fields that differ from what it says.

    Raises
    ------
    InvalidRequest
        The name is unknown, the weights do not fit the model, its code raises something, or nobody says what its input
        is.
    ModelUnavailable
        The weights cannot be read or downloaded.
    NotInstalled
    """
    loading = loading or PLAIN
    name, weights = _places(name, weights)
    _check_options(name, weights, loading)
    made = _make(name, weights, loading)
    ready, sources = _preprocessing(name, made.told, preprocessing)
    evaluating(made.module, name)
    notes = [*made.notes, *made.told.notes, *finish(made.module, name, ready.input_size)]
    notes += in_float32(made.module, name)
    if _is_file(weights):
        unused = torchvision_models.TRAINING_ONLY.get(name, ())
        notes += load_weights(made.module, Path(weights), name, loading, unused)
        evaluating(made.module, name)
    digest = made.digest or state_digest(made.module)
    return LoadedModel(
        name, weights, made.module, ready, digest, made.categories, loading, sources, tuple(notes)
    )  # fmt: skip


def _places(name: str, weights: str) -> tuple[str, str]:
    if is_program(name):
        name = str(Path(name).resolve())
    known = [] if is_own(name) else torchvision_models.weight_names(name)
    if weights not in (NO_WEIGHTS, *known):
        weights = str(Path(weights).resolve())
    return name, weights


def _is_file(weights: str) -> bool:
    return weights != NO_WEIGHTS and Path(weights).is_absolute()


def _check_options(name: str, weights: str, loading: Loading) -> None:
    of_file = {
        "--weights-key": loading.weights_key is not None,
        "--strip-prefix": loading.strip_prefix is not None,
        "--no-strict": not loading.strict,
    }
    given = [option for option, is_given in of_file.items() if is_given]
    if given and not _is_file(weights):
        raise InvalidRequest(f"{', '.join(given)}: say how a weights file is read, and --weights names none")
    if is_program(name) and (loading.arguments or weights != NO_WEIGHTS):
        raise InvalidRequest(f"{name} is a program with its weights in it: it takes no --model-args and no --weights")


def _make(name: str, weights: str, loading: Loading) -> Made:
    if is_program(name):
        return programs.make(name)
    if is_own(name):
        return factories.make(name, loading)
    return torchvision_models.make(name, weights, loading)


def _preprocessing(
    name: str, told: Told, given: Preprocessing | Mapping[str, Any] | None
) -> tuple[Preprocessing, dict[str, str]]:
    if isinstance(given, Preprocessing):
        return given, {}
    return told.with_options(given or {}).complete(name)
