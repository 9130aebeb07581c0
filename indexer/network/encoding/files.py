"""Dictionaries as files of safetensors: tensors of float32, and a recipe as JSON. Nothing in them is executed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import torch

from indexer.errors import DamagedFile, NotInstalled
from indexer.network.encoding.encoders import Encoder, KMeansEncoder, NMFEncoder, SparseAutoencoder

VERSION: Final = 1
_KEY: Final = "unitscope dictionary"
"""The only key of the metadata: safetensors writes several in any order, and files must be the same each time."""
_MAX_ATOMS: Final = 65536


@dataclass(frozen=True)
class Dictionary:
    """An encoder, and how it came to be.

    Attributes
    ----------
    encoder : Encoder
    recipe : dict
        Layer, method, seed, settings and metrics, as JSON holds them.
    """

    encoder: Encoder
    recipe: Mapping[str, Any] = field(default_factory=dict)


def write_dictionary(path: Path, dictionary: Dictionary) -> None:
    """Write a file of safetensors.

    Raises
    ------
    NotInstalled
    """
    encoder = dictionary.encoder
    about: dict[str, Any] = {"method": encoder.method}
    if isinstance(encoder, SparseAutoencoder):
        about |= {"k": encoder.k, "centred": encoder.centred}
    tensors = {name: tensor.detach().cpu().to(torch.float32).contiguous() for name, tensor in encoder.tensors.items()}
    metadata = {_KEY: json.dumps({"version": VERSION, "encoder": about, "recipe": dict(dictionary.recipe)})}
    path.write_bytes(_safetensors().torch.save(tensors, metadata))  # its own files only their owner may read


def read_dictionary(path: Path, name: str) -> Dictionary:
    """Read and check a file that `write_dictionary` wrote; errors call it ``name``.

    Raises
    ------
    DamagedFile
        It cannot be read, or its tensors do not fit together.
    NotInstalled
    """
    try:
        with _safetensors().safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(_KEY, "{}"))
            if about.get("version") != VERSION:
                raise DamagedFile(name, f"is not a dictionary of format version {VERSION}")
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        _check(tensors)
        return Dictionary(_encoder(about["encoder"], tensors), about["recipe"])
    except NotInstalled:
        raise
    except FileNotFoundError as error:
        raise DamagedFile(name, "is missing") from error
    except Exception as error:  # safetensors has errors of its own
        raise error if isinstance(error, DamagedFile) else DamagedFile(name, f"cannot be read ({error})") from error


def _encoder(about: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Encoder:
    match about["method"]:
        case KMeansEncoder.method:
            return KMeansEncoder(tensors["centroids"])
        case NMFEncoder.method:
            return NMFEncoder(tensors["components"])
        case SparseAutoencoder.method:
            return autoencoder(tensors, about["k"], bool(about["centred"]))
    raise ValueError(f"the method {about['method']!r} is not known")


def autoencoder(tensors: dict[str, torch.Tensor], k: int | None, centred: bool) -> SparseAutoencoder:
    """An autoencoder of tensors that must fit together.

    Raises
    ------
    ValueError
    """
    dimensions, atoms = tensors["encoder"].shape
    shapes = {
        "encoder_bias": (atoms,), "decoder": (atoms, dimensions), "decoder_bias": (dimensions,), "threshold": (atoms,),
    }  # fmt: skip
    for name, shape in shapes.items():
        if name in tensors and tuple(tensors[name].shape) != shape:
            raise ValueError(f"{name} has the shape {tuple(tensors[name].shape)}, and {shape} is needed")
    if k is not None and not 1 <= k <= atoms:
        raise ValueError(f"k is {k}, of {atoms} atoms")
    return SparseAutoencoder(**tensors, k=k, centred=centred)


def _check(tensors: dict[str, torch.Tensor]) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32 or not 1 <= tensor.ndim <= 2 or min(tensor.shape) < 1:
            raise ValueError(f"{name} is not a matrix or a vector of float32")
        if max(tensor.shape) > _MAX_ATOMS:
            raise ValueError(f"{name} has more than {_MAX_ATOMS} rows or columns")
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} has values that are not finite")


def _safetensors() -> ModuleType:
    try:
        import safetensors
        import safetensors.torch
    except ImportError as error:
        raise NotInstalled(
            "dictionaries need the package safetensors, which is not installed: install unitscope[safetensors]"
        ) from error
    return safetensors
