"""Dictionaries that other programs learned, and ours for them: SAELens, and plain safetensors. Never a pickle."""

import json
from pathlib import Path
from typing import Any, Final

import torch

from indexer.errors import InvalidRequest
from indexer.network.encoding.encoders import KMeansEncoder, NMFEncoder, SparseAutoencoder
from indexer.network.encoding.files import Dictionary, autoencoder
from indexer.weights.files import read_weights

CONFIGURATION: Final = "cfg.json"
WEIGHTS: Final = "sae_weights.safetensors"
_SAELENS: Final = {"W_enc": "encoder", "b_enc": "encoder_bias", "W_dec": "decoder", "b_dec": "decoder_bias"}
_SUPPORTED: Final = {
    "normalize_activations": (None, False, "none"), "hook_head_index": (None,), "hook_point_head_index": (None,),
    "reshape_activations": (None, "none"), "rescale_acts_by_decoder_norm": (None, False, True),
    "finetuning_scaling_factor": (None, False), "activation_fn": (None, "relu", "topk"),
    "activation_fn_str": (None, "relu", "topk"),
}  # fmt: skip
"""Settings of SAELens that change what an autoencoder computes, and their values that are supported.

Those of before version 6 are among them: an activation had a name of its own, beside the architecture.
"""
_SCALES: Final = ("finetuning_scaling_factor", "scaling_factor")
"""Tensors by which older versions of SAELens multiply codes before they decode them."""


def read_foreign(path: Path) -> Dictionary:
    """Read a folder of SAELens, or a file of safetensors.

    A file holds ``centroids`` (K, C), or ``components`` (K, C), or ``encoder`` (C, K), ``encoder_bias`` (K,),
    ``decoder`` (K, C) and ``decoder_bias`` (C,), with ``threshold`` (K,) if it has one.

    Raises
    ------
    InvalidRequest
        It is none of these, or has a setting that is not supported; the error names it.
    NotInstalled
    """
    if path.is_dir():
        return _of_saelens(path)
    if path.suffix != ".safetensors":
        raise InvalidRequest(f"{path} is neither a folder of SAELens ({CONFIGURATION}) nor a file of safetensors")
    tensors = _tensors(path)
    if "centroids" in tensors:
        return Dictionary(KMeansEncoder(tensors["centroids"]), {"source": path.name, "method": "kmeans"})
    if "components" in tensors:
        if bool((tensors["components"] < 0).any()):
            raise InvalidRequest(f"{path}: components must not be negative")
        return Dictionary(NMFEncoder(tensors["components"]), {"source": path.name, "method": "nmf"})
    return Dictionary(_autoencoder(path, tensors, None, centred=True), {"source": path.name, "method": "sae"})


def write_saelens(folder: Path, encoder: SparseAutoencoder, layer: str) -> None:
    """Write an autoencoder as SAELens reads it: of the architecture topk where it has a k, and else jumprelu.

    Raises
    ------
    InvalidRequest
        It has a k and a threshold, which no architecture of SAELens has.
    NotInstalled
    """
    from safetensors.torch import save

    if encoder.k is not None and encoder.threshold is not None:
        raise InvalidRequest("an autoencoder with both k and a threshold cannot be written for SAELens, which has none")
    folder.mkdir(parents=True, exist_ok=True)
    kept = {theirs: encoder.tensors[ours].contiguous() for theirs, ours in _SAELENS.items()}
    if encoder.k is None:  # a ReLU is a jumprelu whose thresholds are 0
        chosen: dict[str, Any] = {"architecture": "jumprelu"}
        kept["threshold"] = torch.zeros_like(encoder.encoder_bias) if encoder.threshold is None else encoder.threshold
    else:
        chosen = {"architecture": "topk", "k": encoder.k, "rescale_acts_by_decoder_norm": False}
    (folder / WEIGHTS).write_bytes(save(kept))
    configuration = chosen | {
        "d_in": encoder.dimensions, "d_sae": encoder.components, "dtype": "float32",
        "device": "cpu", "apply_b_dec_to_input": encoder.centred, "normalize_activations": "none",
        "reshape_activations": "none", "metadata": {"hook_name": layer},
    }  # fmt: skip
    (folder / CONFIGURATION).write_text(json.dumps(configuration, indent=1))


def _of_saelens(folder: Path) -> Dictionary:
    settings = _settings(folder)
    architecture = _architecture(folder, settings)
    k = _k(folder, settings) if architecture == "topk" else None
    tensors = _tensors(folder / WEIGHTS)
    needed = {*_SAELENS, *(["threshold"] if architecture == "jumprelu" else [])}
    if missing := needed - tensors.keys():
        raise InvalidRequest(f"{folder / WEIGHTS} lacks {', '.join(sorted(missing))}")
    for name in _SCALES:
        if name in tensors and not bool((tensors[name] == 1).all()):
            raise InvalidRequest(f"{folder / WEIGHTS} has a {name} other than 1, which is not supported")
    named = {ours: tensors[theirs] for theirs, ours in _SAELENS.items()}
    if architecture == "jumprelu":
        named["threshold"] = tensors["threshold"]
    if settings.get("rescale_acts_by_decoder_norm"):
        named = _with_unit_decoder(named)
    encoder = _autoencoder(folder, named, k, centred=bool(settings.get("apply_b_dec_to_input", True)))
    return Dictionary(encoder, {"source": f"SAELens {architecture}", "method": "sae", "k": k})


def _settings(folder: Path) -> dict[str, Any]:
    """What the folder's configuration says, if nothing of it is unsupported."""
    try:
        settings: Any = json.loads((folder / CONFIGURATION).read_text())
    except (OSError, ValueError) as error:
        raise InvalidRequest(
            f"{folder} is not a folder of SAELens: {CONFIGURATION} cannot be read ({error})"
        ) from error
    if not isinstance(settings, dict):
        raise InvalidRequest(f"{folder} is not a folder of SAELens: {CONFIGURATION} is not a JSON object")
    for name, supported in _SUPPORTED.items():
        if settings.get(name) not in supported:
            raise InvalidRequest(f"{folder}: {name} is {settings[name]!r}, which is not supported")
    return settings


def _architecture(folder: Path, settings: dict[str, Any]) -> str:
    """standard, topk or jumprelu: older versions of SAELens wrote topk as standard with the activation topk."""
    architecture = settings.get("architecture", "standard")
    if architecture not in ("standard", "topk", "jumprelu"):
        raise InvalidRequest(
            f"{folder}: the architecture {architecture!r} is not supported; standard, topk and jumprelu are"
        )
    activations = {settings[name] for name in ("activation_fn", "activation_fn_str") if settings.get(name)}
    if "topk" in activations:
        if architecture == "jumprelu" or "relu" in activations:
            raise InvalidRequest(f"{folder}: the activation topk beside another one is not supported")
        return "topk"
    if architecture != "topk" and (stated := settings.get("activation_fn_kwargs")):
        raise InvalidRequest(f"{folder}: activation_fn_kwargs is {stated!r}, and only the activation topk has any")
    return str(architecture)


def _k(folder: Path, settings: dict[str, Any]) -> int:
    """The k of a topk: a setting of its own, and before version 6 of SAELens one of the activation's."""
    stated = settings.get("activation_fn_kwargs") or {}
    if not isinstance(stated, dict) or stated.keys() - {"k"}:
        raise InvalidRequest(f"{folder}: activation_fn_kwargs is {stated!r}, and only k is supported in it")
    found = {"k": settings["k"]} if settings.get("k") is not None else {}
    found |= {"activation_fn_kwargs": stated["k"]} if "k" in stated else {}
    if not found:
        raise InvalidRequest(
            f"{folder}: a topk needs k, and {CONFIGURATION} has none, also not in activation_fn_kwargs"
        )
    for name, k in found.items():
        if type(k) is not int or k != next(iter(found.values())):
            raise InvalidRequest(f"{folder}: k must be one whole number, and it is {k!r} in {name}")
    return int(next(iter(found.values())))


def _with_unit_decoder(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same autoencoder with atoms of length 1. SAELens multiplies codes by the lengths, and divides them later."""
    length = tensors["decoder"].double().norm(dim=1)
    inverse = torch.where(length > 0, 1 / length, 0.0)
    return {
        **tensors,
        "encoder": (tensors["encoder"] * length).float(),
        "encoder_bias": (tensors["encoder_bias"] * length).float(),
        "decoder": (tensors["decoder"] * inverse[:, None]).float(),
    }


def _autoencoder(path: Path, tensors: dict[str, torch.Tensor], k: int | None, *, centred: bool) -> SparseAutoencoder:
    wanted = {"encoder", "encoder_bias", "decoder", "decoder_bias"}
    if not wanted <= tensors.keys() <= wanted | {"threshold"}:
        raise InvalidRequest(
            f"{path} holds {', '.join(sorted(tensors)) or 'nothing'}; a dictionary has centroids, or components, or "
            "encoder, encoder_bias, decoder and decoder_bias"
        )
    try:
        return autoencoder(tensors, k, centred)
    except ValueError as error:
        raise InvalidRequest(f"{path}: {error}") from error


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = read_weights(path)
    for name, tensor in found.items():
        if not tensor.is_floating_point() or not bool(torch.isfinite(tensor).all()):
            raise InvalidRequest(f"{path}: {name} has values that are not finite numbers")
    return {name: tensor.to(torch.float32) for name, tensor in found.items()}
