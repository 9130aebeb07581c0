"""The arithmetic of an axis without borders.

Size, stride and start fold from operation to operation as in Araujo, Norris and Sim, "Computing Receptive Fields of
Convolutional Neural Networks", Distill 2019, sections "Single-path networks" and "Arbitrary computation graphs".
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progression:
    """Cell i sees the pixels [start + i * stride, start + i * stride + size)."""

    size: int = 1
    stride: int = 1
    start: int = 0

    def window(self, extent: int, step: int, padding: int) -> "Progression":
        """After an operation whose window spans `extent` cells, moves by `step` and begins `padding` cells early."""
        return Progression(
            self.size + (extent - 1) * self.stride,
            self.stride * step,
            self.start - padding * self.stride,
        )

    def interval(self, cell: int) -> tuple[int, int]:
        first = self.start + cell * self.stride
        return first, first + self.size


def join(progressions: Iterable[Progression | None]) -> Progression | None:
    """The hull of several, which is a progression only where their strides agree."""
    known = list(progressions)
    if not known or any(each is None for each in known) or len({each.stride for each in known if each}) > 1:
        return None
    start = min(each.start for each in known if each)
    end = max(each.start + each.size for each in known if each)
    return Progression(end - start, known[0].stride, start) if known[0] else None
