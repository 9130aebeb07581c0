"""Adam (Kingma and Ba 2015) on the numbers behind images, without torch's compiler, which each of its calls loads."""

from collections.abc import Sequence

import torch

from indexer.system.compiler import kept_out


class Adam:
    """Changes parameters by their gradients.

    1. ``forget()`` the gradients of the step before.
    2. Compute others with ``backward``.
    3. ``step()``.
    """

    def __init__(self, parameters: Sequence[torch.Tensor], rate: float) -> None:
        with kept_out():
            self._adam = torch.optim.Adam(parameters, lr=rate)

    def forget(self) -> None:
        with kept_out():
            self._adam.zero_grad()

    def step(self) -> None:
        with kept_out():
            self._adam.step()
