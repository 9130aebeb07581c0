"""Changes of neurons: silenced, scaled, clamped, or held at their mean."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from indexer.defaults import EDITS
from indexer.errors import InvalidRequest

if TYPE_CHECKING:
    import torch

    from indexer.network.encoding.encoders import Encoder
    from indexer.query.layer import Layer

SILENCE, SCALE, CLAMP, MEAN = EDITS
_VALUED: Final = (SCALE, CLAMP)


@dataclass(frozen=True)
class Edit:
    """What is done to one neuron, at every cell.

    Attributes
    ----------
    neuron : int
    how : str
        "silence": 0 takes the place of its activations (Morcos et al. 2018, "On the importance of single directions for
        generalization"). "scale": they are multiplied by the value. "clamp": those above the value become the value.
        "mean": their mean over all cells and images of the index takes their place.
    value : float, optional
        For "scale" and "clamp".
    """

    neuron: int
    how: str = SILENCE
    value: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"neuron": self.neuron, "how": self.how, "value": self.value}


def check_edits(edits: Sequence[Edit], layer: "Layer") -> None:
    """Refuse edits that a layer cannot have.

    Raises
    ------
    NotFound
        The layer has no such neuron.
    InvalidRequest
        An edit is not one of `EDITS`, lacks its value or has one that it does not take, or a neuron is named twice.
    """
    seen = set()
    for edit in edits:
        layer.check_neuron(edit.neuron)
        if edit.how not in EDITS:
            raise InvalidRequest(f"neuron {edit.neuron}: an edit is one of {', '.join(EDITS)}, not {edit.how!r}")
        if edit.how in _VALUED and (edit.value is None or not math.isfinite(edit.value)):
            raise InvalidRequest(f"neuron {edit.neuron}: {edit.how} needs a finite number, not {edit.value}")
        if edit.how not in _VALUED and edit.value is not None:
            raise InvalidRequest(f"neuron {edit.neuron}: {edit.how} takes no value, and {edit.value} was given")
        if edit.neuron in seen:
            raise InvalidRequest(f"neuron {edit.neuron} is edited twice; give one edit for each neuron")
        seen.add(edit.neuron)


class EditedMaps:
    """Edits as a function from maps (B, C, H, W) to maps.

    Parameters
    ----------
    edits : sequence of Edit
        Checked.
    layer : Layer
        Whose means are known.
    """

    def __init__(self, edits: Sequence[Edit], layer: "Layer") -> None:
        self._of = {how: [edit for edit in edits if edit.how == how] for how in EDITS}
        self._means = np.asarray(layer.statistics["mean"])

    def __call__(self, maps: "torch.Tensor") -> "torch.Tensor":
        edited = maps.clone()
        for edit in self._of[SILENCE]:
            edited[:, edit.neuron] = 0
        for edit in self._of[SCALE]:
            edited[:, edit.neuron] *= edit.value or 0.0
        for edit in self._of[CLAMP]:
            edited[:, edit.neuron].clamp_(max=edit.value)
        for edit in self._of[MEAN]:
            edited[:, edit.neuron] = float(self._means[edit.neuron])
        return edited


class EditedAtoms:
    """Edits of a dictionary's atoms as a function from maps (B, C, H, W) of the layer that it encodes to maps.

    An atom's part is its code times its direction. The difference of that part is added; all else of the maps, what no
    atom gives back included, stays.

    Parameters
    ----------
    edited : callable
        From maps (B, K, H, W) of codes to those that take their place.
    encoder : Encoder
    """

    def __init__(self, edited: "Callable[[torch.Tensor], torch.Tensor]", encoder: "Encoder") -> None:
        self._edited, self._encoder = edited, encoder

    def __call__(self, maps: "torch.Tensor") -> "torch.Tensor":
        import torch

        codes = self._encoder(maps)
        difference = (self._edited(codes) - codes).double()
        return maps + torch.einsum("bkhw,kc->bchw", difference, self._encoder.atoms).to(maps.dtype)


def silenced(neurons: "torch.Tensor") -> Any:
    """A change that silences another neuron (B,) in each of B rows of maps."""

    def change(maps: "torch.Tensor") -> "torch.Tensor":
        import torch

        edited = maps.clone()
        edited[torch.arange(len(edited), device=maps.device), neurons.to(maps.device)] = 0
        return edited

    return change
