"""The forms in which people have a network's preprocessing.

A `Preprocessing`, a dict of its fields, torchvision's ``ImageClassification`` or ``SemanticSegmentation``, timm's data
config (``timm.data.resolve_data_config``, ``module.pretrained_cfg``), a ``Compose`` of torchvision's transforms.
"""

from collections.abc import Mapping
from typing import Any, Final

from torch import nn

from indexer.errors import InvalidRequest
from indexer.images.preprocessing import PARSERS, Preprocessing
from indexer.inputs.compose import from_compose, is_compose
from indexer.inputs.timm_config import KEYS as TIMM_KEYS
from indexer.inputs.timm_config import from_timm
from indexer.inputs.told import EXAMPLE, Told
from indexer.system.torchvision import torchvision

_presets = torchvision.transforms._presets

_FORMS: Final = (
    "a dict of resize, crop, mean, std and perhaps interpolation; torchvision's ImageClassification; timm's data "
    "config; or a Compose of Resize, CenterCrop, ToTensor and Normalize"
)


def understood(given: Any, source: str) -> Told:
    """What somebody's preprocessing says; None says nothing.

    Parameters
    ----------
    source : str
        Who gives it, for messages.

    Raises
    ------
    InvalidRequest
        It is of no known form, or says something that cannot be done here.
    """
    if given is None:
        return Told()
    if isinstance(given, Preprocessing):
        return Told.of({name: getattr(given, name) for name in PARSERS}, source)
    if isinstance(given, Mapping):
        return from_timm(given, source) if TIMM_KEYS & given.keys() else Told.of(given, source)
    if type(given) in (_presets.ImageClassification, _presets.SemanticSegmentation):
        return from_preset(given, source)
    if is_compose(given):
        return from_compose(given, source)
    kind = given.__name__ if isinstance(given, type) else type(given).__name__
    raise InvalidRequest(
        f"{source}: preprocessing must be {_FORMS}; from a {kind} no way back to the original pixels is known. "
        f"Say it so: {EXAMPLE}"
    )


def from_preset(preset: nn.Module, source: str) -> Told:
    """From a preset of torchvision's, as ``weights.transforms()`` gives it."""
    values = {
        "resize": preset.resize_size,
        "interpolation": preset.interpolation,
        "mean": preset.mean,
        "std": preset.std,
    }
    if isinstance(preset, _presets.ImageClassification):
        values["crop"] = preset.crop_size
    return Told.of(values, source)
