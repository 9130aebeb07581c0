"""Small changes of an image after which a network answers something else.

An attack works on one image (1, 3, h, w), with colours from 0 to 1, and on ``outputs``, a function from images to a
network's outputs (B, O): logits, or logarithms of probabilities. Norms are over colours from 0 to 1.
"""

from collections.abc import Callable
from typing import Final

import torch
from torch.nn import functional

from indexer.errors import InvalidRequest
from indexer.explain.sources import Stop, check_stop, never
from indexer.system.user_code import of_user

OutputsOf = Callable[[torch.Tensor], torch.Tensor]
STEPS: Final = 50
_STEP: Final = 2.5
"""A step of projected gradient descent goes so far, times the norm over the steps (Madry et al. 2018)."""
_CANDIDATES: Final = 10
_OVERSHOOT: Final = 0.02


def norm_of(change: torch.Tensor, norm: str) -> float:
    """The L2 or the largest absolute value of a change."""
    return float(change.norm() if norm == "l2" else change.abs().max())


def descend(
    outputs: OutputsOf, image: torch.Tensor, answer: int, target: int | None, norm: str, most: float,
    steps: int = STEPS, stop: Stop = never,
) -> torch.Tensor:  # fmt: skip
    """The image changed by at most ``most``, so that its answer becomes less likely, or the target more.

    Projected gradient descent from the image itself (Madry et al. 2018, "Towards deep learning models resistant to
    adversarial attacks"); it ends at the first step with another answer, or with the target.
    """
    changed = image.clone()
    for _ in range(steps):
        check_stop(stop)
        changed = changed.detach().requires_grad_()
        found = outputs(changed)
        if is_other(int(found.argmax()), answer, target):
            break
        wanted = torch.tensor([answer if target is None else target], device=image.device)
        loss = functional.cross_entropy(found, wanted) * (1 if target is None else -1)
        gradient = _gradients(loss[None], changed)[0]
        moved = changed.detach() + _direction(gradient, norm) * most * _STEP / steps
        changed = (image + _within(moved - image, norm, most)).clamp(0, 1)
    return changed.detach()


def nearest_boundary(
    outputs: OutputsOf, image: torch.Tensor, answer: int, target: int | None, norm: str,
    steps: int = STEPS, stop: Stop = never,
) -> torch.Tensor:  # fmt: skip
    """The image moved just over the boundary to another answer, or to the target.

    Moosavi-Dezfooli et al. 2016, "DeepFool: a simple and accurate method to fool deep neural networks": the network is
    taken as linear at each step, and the image goes to the nearest boundary of ten likely answers.
    """
    total = torch.zeros_like(image)
    for _ in range(steps):
        check_stop(stop)
        changed = (image + (1 + _OVERSHOOT) * total).clamp(0, 1).detach().requires_grad_()
        found = outputs(changed)
        if is_other(int(found.argmax()), answer, target):
            break
        others = [target] if target is not None else _likely(found, answer)
        gaps = torch.stack([found[0, other] - found[0, answer] for other in others])
        slopes = _gradients(gaps, changed)
        sizes = slopes.flatten(1).norm(p=2 if norm == "l2" else 1, dim=1)
        far = (gaps.detach().abs() + 1e-6) / sizes.clamp(min=1e-12)
        nearest = int(far.argmin())
        total = total + far[nearest] * _direction(slopes[nearest], norm)
    return (image + (1 + _OVERSHOOT) * total).clamp(0, 1).detach()


def is_other(now: int, answer: int, target: int | None) -> bool:
    """Whether an answer is another than it was, or the target where there is one."""
    return now != answer if target is None else now == target


def _likely(found: torch.Tensor, answer: int) -> list[int]:
    order = found[0].argsort(descending=True)[: _CANDIDATES + 1].tolist()
    return [other for other in order if other != answer][:_CANDIDATES]


def _gradients(values: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """Of each value (n,) by the image (n, 1, 3, h, w).

    Raises
    ------
    InvalidRequest
        None comes back.
    """
    if not values.requires_grad:
        raise InvalidRequest("no gradient comes back from the network's outputs to the image; it cannot be fooled so")
    with of_user("the network, asked for gradients,"):
        found = [torch.autograd.grad(value, image, retain_graph=True)[0] for value in values]
    return torch.stack(found)


def _direction(gradient: torch.Tensor, norm: str) -> torch.Tensor:
    """The direction (1, 3, h, w) of length 1 in a norm that goes up fastest."""
    if norm == "linf":
        return gradient.sign()
    unit: torch.Tensor = gradient / gradient.norm().clamp(min=1e-12)
    return unit


def _within(change: torch.Tensor, norm: str, most: float) -> torch.Tensor:
    if norm == "linf":
        return change.clamp(-most, most)
    return change * min(1.0, most / max(float(change.norm()), 1e-12))
