"""Constant masks of attention: zeros, and large negatives where softmax is to leave nothing."""

import torch

HIDES = -50.0
"""What is added to an attention score so that no float32 activation can show the place: exp(-50) is 2e-22."""


def mark_mask(stand_in: torch.Tensor, tensor: torch.Tensor) -> torch.Tensor:
    """The stand-in of a constant, on the meta device; it remembers whether the constant is a mask."""
    learned = isinstance(tensor, torch.nn.Parameter) or not tensor.is_floating_point() or tensor.dim() < 2
    if not learned and tensor.device.type != "meta" and is_mask(tensor):
        stand_in.hides = True  # type: ignore[attr-defined]
    return stand_in


def is_mask(tensor: torch.Tensor) -> bool:
    """Whether a tensor holds large negatives and otherwise zeros."""
    low = tensor <= HIDES
    return bool(low.any()) and bool((low | (tensor == 0)).all())


def hides(constant: object) -> bool:
    """Whether a constant on the meta device stands for a mask, or was made of one."""
    return isinstance(constant, torch.Tensor) and getattr(constant, "hides", False)


def hand_on(made: object, of: list[object]) -> None:
    """What is made of a mask alone is a mask."""
    if isinstance(made, torch.Tensor) and any(hides(each) for each in of):
        made.hides = True  # type: ignore[attr-defined]
