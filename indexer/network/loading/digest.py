"""What tells two networks' weights apart."""

import hashlib
import pickle
from typing import Any

import torch
from torch import nn

from indexer.errors import InvalidRequest
from indexer.system.user_code import of_user

_PLAIN = (type(None), bool, int, float, complex, str, bytes, torch.dtype, torch.Size, torch.device, torch.layout)


def state_digest(module: nn.Module) -> str:
    """sha256, in hexadecimal, over all parameters and buffers of a module, and what else its state holds.

    Raises
    ------
    InvalidRequest
        Its state cannot be had, or holds something that has no bytes.
    """
    digest = hashlib.sha256()
    with of_user("the model's state_dict"):
        state = module.state_dict()
    for key, value in state.items():
        _add(digest, key, value)
    return digest.hexdigest()


def _add(digest: Any, key: str, value: Any) -> None:
    if isinstance(value, torch.Tensor):
        _add_tensor(digest, key, value.detach())
    elif isinstance(value, _PLAIN):
        digest.update(f"{key}|{type(value).__name__}|{value!r}|".encode())
    elif isinstance(value, dict):
        digest.update(f"{key}|{type(value).__name__}|{len(value)}|".encode())
        for name, part in value.items():
            _add(digest, f"{key}[{name!r}]", part)
    elif isinstance(value, (list, tuple)):
        digest.update(f"{key}|{type(value).__name__}|{len(value)}|".encode())
        for number, part in enumerate(value):
            _add(digest, f"{key}[{number}]", part)
    else:
        digest.update(f"{key}|{type(value).__name__}|".encode() + _pickled(key, value))


def _add_tensor(digest: Any, key: str, tensor: torch.Tensor) -> None:
    digest.update(f"{key}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
    if tensor.is_meta:
        raise InvalidRequest(f"{key} of the model has no values (it is on the meta device): make it with weights")
    if tensor.is_quantized:
        digest.update(f"{tensor.qscheme()}|".encode())
        for name, part in _quantized(tensor).items():
            _add(digest, name, part)
    elif tensor.layout is torch.sparse_coo:
        tensor = tensor.coalesce()
        _add_tensor(digest, "indices", tensor.indices())
        _add_tensor(digest, "values", tensor.values())
    elif tensor.layout is not torch.strided:
        _add_tensor(digest, str(tensor.layout), tensor.to_dense())
    else:
        plain = tensor.cpu().resolve_conj().resolve_neg().contiguous().view(-1)
        if plain.numel():
            digest.update(plain.view(torch.uint8).numpy().data)


def _quantized(tensor: torch.Tensor) -> dict[str, Any]:
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        scale: dict[str, Any] = {"scale": tensor.q_scale(), "zero_point": tensor.q_zero_point()}
    else:
        scale = {
            "scale": tensor.q_per_channel_scales(),
            "zero_point": tensor.q_per_channel_zero_points(),
            "axis": tensor.q_per_channel_axis(),
        }
    return {"values": tensor.int_repr()} | scale


def _pickled(key: str, value: Any) -> bytes:
    """The bytes of any other object, such as the extra state of a module or the packed weights of a quantized one."""
    with of_user(f"{key} of the model's state, a {type(value).__name__}, has no bytes to tell it by: pickling it"):
        if isinstance(value, torch.ScriptObject):
            return _of_script(value)
        return pickle.dumps(value, protocol=4)


def _of_script(value: Any) -> bytes:
    digest = hashlib.sha256()
    _add(digest, "state", value.__getstate__())
    return digest.digest()
