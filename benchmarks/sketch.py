"""Quantiles of a stream, from a sample that is halved where it grows too long.

As baukit's ``Quantile`` and NetDissect's ``QuantileVector`` have them (Karnin, Lang and Liberty, 2016), re-stated:
values wait in a buffer; a full one is sorted, and every second value of it moves up to the next buffer, where it stands
for two. Theirs get shorter, by a third, from each buffer to the one in front of it, and the lowest and the highest
value are kept apart. Here all buffers are equally long, so longer runs are sorted less often, and no extremes are kept.
"""

import numpy as np
import torch

SIZE = 4096


class Sketch:
    """A sample of the values of each unit.

    1. ``sketch.add(values)`` for values (n, units), as often as wanted.
    2. ``sketch.quantiles(fractions)`` gives (units, fractions).

    A quantile's rank is off by at most `bound` of all values.
    """

    def __init__(self, units: int, size: int = SIZE, device: torch.device | None = None) -> None:
        self.units, self.size = units, size  # size is even
        self._device = device
        self._random = np.random.default_rng(0)
        self._buffers: list[torch.Tensor] = []
        self._filled: list[int] = []
        self._grow()

    @property
    def bound(self) -> float:
        """Halving moves a rank by at most the weight of a value, and what is read may lie half of one beside it.

        A buffer is halved once in as many values as fill it; as long as none was, all are kept.
        """
        return 0.0 if len(self._buffers) == 1 else len(self._buffers) / self.size

    def add(self, values: torch.Tensor) -> None:
        """Take in values (n, units)."""
        values = values.T
        while values.shape[1]:
            if self._filled[0] == self.size:
                self._halve(0)
            start = self._filled[0]
            part = values[:, : self.size - start]
            self._buffers[0][:, start : start + part.shape[1]] = part
            self._filled[0] += part.shape[1]
            values = values[:, part.shape[1] :]

    def quantiles(self, fractions: list[float]) -> np.ndarray:
        """(units, fractions); between two values of the sample, in proportion."""
        filled = list(zip(self._buffers, self._filled, strict=True))
        sample = torch.cat([buffer[:, :count] for buffer, count in filled], dim=1).cpu().numpy()
        weights = np.concatenate([np.full(count, 2.0**level) for level, (_, count) in enumerate(filled)])
        found = np.empty((self.units, len(fractions)))
        for unit, values in enumerate(sample):
            order = values.argsort()
            reached = weights[order].cumsum() - weights[order] / 2
            found[unit] = np.interp(fractions, reached / weights.sum(), values[order])
        return found

    def _grow(self) -> None:
        self._buffers.append(torch.empty(self.units, self.size, device=self._device))
        self._filled.append(0)

    def _halve(self, level: int) -> None:
        if level + 1 == len(self._buffers):
            self._grow()
        if self._filled[level + 1] == self.size:
            self._halve(level + 1)
        start, first = self._filled[level + 1], int(self._random.integers(2))
        half = self._buffers[level].sort(dim=1).values[:, first::2]
        self._buffers[level + 1][:, start : start + half.shape[1]] = half
        self._filled[level], self._filled[level + 1] = 0, start + half.shape[1]
