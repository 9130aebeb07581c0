"""Weights of a file put into a network."""

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from indexer.errors import InvalidRequest
from indexer.index.loading import Loading
from indexer.system.user_code import of_user
from indexer.weights.files import read_weights
from indexer.weights.matching import Fit, fits, missing, reshaped, some, the_best


def load_weights(
    module: nn.Module, path: Path, model: str, loading: Loading, unused: tuple[str, ...] = ()
) -> list[str]:
    """Put the weights of a file into a module; give what a person should know of how.

    Parameters
    ----------
    model : str
        Its name, for messages.
    unused : tuple of str
        Beginnings of names that the model is made without.

    Raises
    ------
    InvalidRequest
        They do not fit, or several parts of the file do.
    ModelUnavailable, NotInstalled
    """
    content = read_weights(path)
    with of_user(f"the state_dict of {model}"):
        expected = module.state_dict()
    try:
        found = fits(_without(content, unused), expected, loading.weights_key, loading.strip_prefix)
        fit = the_best(found, expected, strict=loading.strict)
    except InvalidRequest as error:
        raise InvalidRequest(f"{path} does not fit {model}: {error}") from error
    notes = [f"{path.name}: {fit}"] if str(fit) else []
    return notes + (_strictly if loading.strict else _as_far_as_it_goes)(module, fit, expected, path, model)


def _without(content: Mapping[Any, Any], unused: tuple[str, ...]) -> Mapping[Any, Any]:
    """A file without names that begin so, or whose part behind a prefix does."""
    if not unused:
        return content
    kept: dict[Any, Any] = OrderedDict()
    for key, value in content.items():
        if isinstance(value, Mapping):
            kept[key] = _without(value, unused)
        elif not any(f".{key}".find(f".{start}") >= 0 for start in unused):
            kept[key] = value
    return kept


def _strictly(module: nn.Module, fit: Fit, expected: Mapping[str, Any], path: Path, model: str) -> list[str]:
    try:
        _put(module, fit, strict=True)  # modules may rename what old files have, so this alone decides
    except Exception as error:
        raise InvalidRequest(f"{path} does not fit {model}: {_differences(fit, expected)}") from error
    return []


def _as_far_as_it_goes(module: nn.Module, fit: Fit, expected: Mapping[str, Any], path: Path, model: str) -> list[str]:
    if not fit.good:
        raise InvalidRequest(f"nothing in {path} fits {model}: {_differences(fit, expected)}")
    for name in set(fit.state) - set(fit.good):
        del fit.state[name]
    with of_user(f"loading {path} into {model}"):
        _put(module, fit, strict=False)
    absent = [name for name in expected if name not in fit.good]
    if not absent and not fit.unexpected:
        return []
    return [
        f"--no-strict: {len(fit.good)} of {len(expected)} weights of {model} are from {path.name}; {len(absent)} were "
        f"left as the network was made, random where it was not trained ({some(absent)}); {len(fit.unexpected)} of the "
        f"file are not used ({some(fit.unexpected)})"
    ]


def _put(module: nn.Module, fit: Fit, *, strict: bool) -> None:
    state = OrderedDict(fit.state)
    if fit.metadata is not None:
        state._metadata = fit.metadata  # type: ignore[attr-defined]
    module.load_state_dict(state, strict=strict)


def _differences(fit: Fit, expected: Mapping[str, Any]) -> str:
    absent, other = missing(fit, expected), reshaped(fit, expected)
    parts = [f"of {len(expected)} weights {len(fit.good)} fit{' (' + str(fit) + ')' if str(fit) else ''}"]
    if absent:
        parts.append(f"{len(absent)} are missing ({some(absent)})")
    if other:
        parts.append(f"{len(other)} have another shape ({some(other)})")
    if fit.unexpected:
        parts.append(f"{len(fit.unexpected)} are not the network's ({some(fit.unexpected)})")
    return (
        "; ".join(parts) + "; --weights-key and --strip-prefix say where the weights are, --no-strict takes what fits"
    )
