"""Changes images, step by step, until a network does what is wanted."""

from collections.abc import Callable, Sequence
from typing import Final

import torch

from indexer.errors import BadActivations
from indexer.explain.sources import Stop, check_stop, never
from indexer.synthesis.ascending.adam import Adam
from indexer.synthesis.ascending.differentiable import Differentiable
from indexer.synthesis.ascending.objectives import Objective
from indexer.synthesis.images.parametrisations import Parametrisation
from indexer.system.user_code import of_user

Look = Callable[[torch.Tensor, int], torch.Tensor]
"""From images to the views of them that the network is shown at a step."""
Told = Callable[[int], None]
_TRIED: Final = 8
"""After so many steps in which nothing has moved any image, all are given up."""
UNMOVED: Final = (
    "nothing moves what is asked for in {where}: no gradient comes back to the image, as of a neuron that is dead by "
    "construction, or behind code that cuts gradients; choose another neuron or layer"
)


def ascend(
    network: Differentiable,
    made: Parametrisation,
    objective: Objective,
    look: Look,
    *,
    steps: int,
    rate: float,
    told: Told = lambda step: None,
    stop: Stop = never,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Change the numbers behind images with Adam (Kingma and Ba 2015) so that an objective becomes larger.

    Parameters
    ----------
    look : callable (images, step) -> views
    told : callable (step)
        Told of each step that is done.

    Returns
    -------
    Tensor (B, 3, h, w), colours from 0 to 1
    Tensor (B,) bool
        Which of them a gradient has moved.

    Raises
    ------
    BadActivations
        The objective became NaN or infinite.
    Stopped, UserCodeFailed
    """
    optimiser = Adam(made.parameters, rate)
    moved = torch.zeros(len(made.parameters[0]), dtype=torch.bool, device=network.device)
    for step in range(steps):
        check_stop(stop)
        optimiser.forget()
        value = _value(network, objective, look(made.images(), step))
        if value.requires_grad:
            with of_user("the network, asked for gradients,"):
                (-value).backward()  # type: ignore[no-untyped-call]
            moved |= _have_gradients(made.parameters)
            optimiser.step()
        if step + 1 == min(_TRIED, steps) and not bool(moved.any()):
            break
        told(step + 1)
    return made.images().detach(), moved


def _have_gradients(parameters: Sequence[torch.Tensor]) -> torch.Tensor:
    """Which images (B,) have a gradient that is not 0."""
    found = [p.grad.flatten(1).any(dim=1) for p in parameters if p.grad is not None]
    return torch.stack(found).any(dim=0)


def _value(network: Differentiable, objective: Objective, views: torch.Tensor) -> torch.Tensor:
    """The sum over images, so that each is changed as if it were alone."""
    value = objective(network.maps(views, objective.layers, before_relu=True)).sum()
    if not bool(torch.isfinite(value)):
        raise BadActivations(
            f"{', '.join(objective.layers)} became NaN or infinite on the image that is made; a lower rate may help"
        )
    return value
