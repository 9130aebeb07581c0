"""Networks in a file, with their code: TorchScript and exported programs.

Such a file is named by its path as ``--model``. It runs what its author wrote, so that nothing but a person's own
command may load one.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest, ModelUnavailable
from indexer.inputs.told import Told
from indexer.network.loading.factories import unflattened
from indexer.network.loading.made import Made
from indexer.system.user_code import of_user


def make(name: str) -> Made:
    """Load a program.

    Raises
    ------
    InvalidRequest
        It is none, such as a file of weights alone.
    ModelUnavailable
        There is no such file.
    """
    path = Path(name)
    if not path.exists():
        raise ModelUnavailable(f"there is no model file {path}")
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise InvalidRequest(_no_program(path))
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(entry.endswith("constants.pkl") and "/code/" not in entry for entry in names) and any(
        "/code/" in entry for entry in names
    ):
        module, what = _scripted(path), "a TorchScript program"
    elif any(entry.endswith("archive_format") for entry in names) or any("models/" in entry for entry in names):
        module, what = _exported(path), "an exported program"
    else:
        raise InvalidRequest(_no_program(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Made(module, Told(), notes=(f"{path.name} is {what}; it runs as it is",), digest=digest)


def _no_program(path: Path) -> str:
    return (
        f"{path} is not a program (of torch.jit.save or torch.export.save); weights alone are given as --weights, "
        "beside the network as --model module:factory"
    )


def _scripted(path: Path) -> nn.Module:
    with of_user(f"the TorchScript program {path}"):
        program: nn.Module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
        return program


def _exported(path: Path) -> nn.Module:
    with of_user(f"the exported program {path}"):
        program: Any = torch.export.load(path)
    return unflattened(program, path.name)
