"""A ``Compose`` of torchvision's transforms (v1 or v2), read step by step.

Understood are those that a network is tested with; anything else is refused by its name.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import nn

from indexer.errors import InvalidRequest
from indexer.inputs.told import EXAMPLE, Told
from indexer.system.torchvision import torchvision

_ROOMS: Final = ("torchvision", "timm")
_TORCH_RESIZES: Final = ("bilinear", "bicubic")
_ROUNDING: Final = "the Compose resizes tensors; Pillow does it here, which may round a value of 0..255 by 1 otherwise"


def is_compose(given: object) -> bool:
    """Whether something is a chain of steps, or a single one of torchvision's."""
    return isinstance(given, nn.Sequential) or _is_chain(given) or _name(given) in _STEPS


def from_compose(given: Any, source: str) -> Told:
    """What a chain of steps does to a picture.

    Raises
    ------
    InvalidRequest
        A step is not understood, or the steps come in an order that cannot be done here; its name is said.
    """
    reading = _Reading(source)
    for step in _flat(given):
        read = _STEPS.get(_name(step))
        if read is None:
            reading.refuse(step, "is not understood")
        else:
            read(reading, step)
    return reading.told()


def _flat(given: Any) -> Iterator[Any]:
    if _is_chain(given):
        given = given.transforms
    elif not isinstance(given, nn.Sequential):
        yield given
        return
    for step in given:
        yield from _flat(step)


def _is_chain(given: Any) -> bool:
    """Whether it is a ``Compose`` of v1 or of v2, which loads torch's compiler unless somebody has done so."""
    v2 = sys.modules.get("torchvision.transforms.v2")
    return isinstance(given, torchvision.transforms.Compose) or (v2 is not None and isinstance(given, v2.Compose))


def _name(step: object) -> str:
    """The class of a step, if it is torchvision's or timm's: a subclass of one's own may do something else."""
    kind = type(step)
    return kind.__name__ if kind.__module__.partition(".")[0] in _ROOMS else ""


@dataclass
class _Reading:
    """How far a chain has been read: what a picture has become, and the fields so far."""

    source: str
    form: str = "picture"
    """``picture``, then ``bytes`` (a tensor of 0..255), ``floats`` (0..1), ``normalised``."""
    values: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def refuse(self, step: object, why: str) -> None:
        text = " ".join(str(step).split())[:120]
        raise InvalidRequest(
            f"{self.source}: the step {text} of its {type(step).__name__ if _name(step) else 'own code'} {why}; "
            f"say the same in fields: {EXAMPLE}"
        )

    def become(self, step: object, form: str, *before: str) -> None:
        if self.form not in before:
            self.refuse(step, f"comes after {self.form} are made")
        self.form = form

    def told(self) -> Told:
        if self.form in ("picture", "bytes"):
            raise InvalidRequest(
                f"{self.source}: no step of the Compose makes 0..1 out of 0..255; ToTensor() does, or "
                "ToDtype(torch.float32, scale=True)"
            )
        values = {"resize": None, "mean": 0.0, "std": 1.0} | self.values
        return Told.of(values, self.source, self.notes)


def _resize(reading: _Reading, step: Any) -> None:
    interpolation = getattr(step.interpolation, "value", step.interpolation)
    if reading.values.keys() & {"resize", "crop"}:
        reading.refuse(step, "comes after another Resize or CenterCrop")
    if reading.form in ("floats", "normalised"):
        reading.refuse(step, "resizes floats, which are not rounded as pictures are; put it before them")
    if step.size is None or getattr(step, "max_size", None) is not None:
        reading.refuse(step, "has a max_size, so that inputs differ in size")
    if reading.form == "bytes":
        if step.antialias is False or interpolation not in _TORCH_RESIZES:
            reading.refuse(step, "resizes tensors otherwise than Pillow does; put it before them")
        reading.notes += (_ROUNDING,)
    reading.values["resize"] = step.size
    reading.values["interpolation"] = "nearest" if interpolation == "nearest-exact" else interpolation


def _crop(reading: _Reading, step: Any) -> None:
    if "crop" in reading.values:
        reading.refuse(step, "comes after another CenterCrop")
    if reading.form == "normalised":
        reading.refuse(step, "comes after Normalize, so that it pads with the mean colour; put it before")
    reading.values["crop"] = step.size


def _to_tensor(reading: _Reading, step: Any) -> None:
    reading.become(step, "floats", "picture")


def _to_bytes(reading: _Reading, step: Any) -> None:
    reading.become(step, "bytes", "picture")


def _convert(reading: _Reading, step: Any) -> None:
    _scale(reading, step, step.dtype, scales=True)


def _to_dtype(reading: _Reading, step: Any) -> None:
    _scale(reading, step, step.dtype, scales=step.scale)


def _scale(reading: _Reading, step: Any, dtype: Any, *, scales: bool) -> None:
    if dtype is torch.uint8 and reading.form == "bytes":
        return
    if dtype is not torch.float32:
        reading.refuse(step, "makes something else than float32")
    if reading.form == "floats":
        return
    if not scales:
        reading.refuse(step, "keeps 0..255: use scale=True, and mean and std divided by 255")
    reading.become(step, "floats", "bytes")


def _normalise(reading: _Reading, step: Any) -> None:
    reading.become(step, "normalised", "floats")
    reading.values |= {"mean": step.mean, "std": step.std}


def _grey(reading: _Reading, step: Any) -> None:
    if reading.values or reading.form != "picture" or step.num_output_channels != 1:
        reading.refuse(step, "must be the first step, with one channel")
    reading.values["channels"] = 1


def _nothing(reading: _Reading, step: Any) -> None:
    """Pictures are in RGB already, and so on."""


_STEPS: Final[dict[str, Callable[[_Reading, Any], None]]] = {
    "Resize": _resize,
    "CenterCrop": _crop,
    "ToTensor": _to_tensor,
    "MaybeToTensor": _to_tensor,
    "PILToTensor": _to_bytes,
    "MaybePILToTensor": _to_bytes,
    "ToImage": _to_bytes,
    "ConvertImageDtype": _convert,
    "ToDtype": _to_dtype,
    "Normalize": _normalise,
    "Grayscale": _grey,
    "Identity": _nothing,
    "ToPureTensor": _nothing,
    "RGB": _nothing,
}
