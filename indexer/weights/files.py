"""Files of weights as people have them: torch's and safetensors'. Nothing in them is executed."""

import argparse
import pathlib
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from indexer.errors import InvalidRequest, ModelUnavailable, NotInstalled

EXTRA: Final = "safetensors"
_ENDING: Final = ".safetensors"
_REFUSED: Final = re.compile(r"GLOBAL ([\w.]+)")
_HARMLESS: Final[list[Callable[..., Any] | tuple[Callable[..., Any], str]]] = [
    argparse.Namespace, pathlib.PurePosixPath, pathlib.PosixPath, defaultdict, Counter, dict, list, set,
]  # fmt: skip
"""Classes that training scripts leave beside the weights; making one runs nothing."""


def read_weights(path: Path) -> dict[Any, Any]:
    """The content of a weights file: tensors by name, perhaps nested.

    Raises
    ------
    InvalidRequest
        It is not a weights file, or is one that only code could open.
    ModelUnavailable
        The file does not exist.
    NotInstalled
        It is a file of safetensors, which is not installed.
    """
    if not path.exists():
        raise ModelUnavailable(f"there is no weights file {path}")
    if not path.is_file():
        raise InvalidRequest(f"{path} is not a file")  # reading a pipe or a device would never end
    content = _safetensors(path) if path.suffix == _ENDING else _torch(path)
    if not isinstance(content, dict):
        raise InvalidRequest(
            f"{path} holds a {type(content).__name__}, not a state dict (a mapping of names to tensors)"
        )
    return content


def _safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise NotInstalled(
            f"{path} needs the package safetensors, which is not installed: install the extra unitscope[{EXTRA}]"
        ) from error
    try:
        return load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise InvalidRequest(f"{path} is not a file of safetensors that can be read: {error}") from error


def _torch(path: Path) -> Any:
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever the bytes lead it to
        raise InvalidRequest(
            f"{path} is not a state dict that can be loaded safely (weights_only){_why(path, error)}"
        ) from error


def _why(path: Path, error: Exception) -> str:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        if any(name.endswith("constants.pkl") for name in names):
            return ": it is a TorchScript program; name it as --model instead"
        if any("archive_format" in name or name.endswith("models/model.json") for name in names):
            return ": it is an exported program; name it as --model instead"
    refused = _REFUSED.search(str(error))
    if refused:
        return f": it holds an object of {refused[1]}; save network.state_dict() alone instead"
    return ""
