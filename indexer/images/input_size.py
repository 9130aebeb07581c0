"""Height and width of a network's input, and how many channels it has."""

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

RGB: Final = 3
MAX_CHANNELS: Final = 64


class _Size(NamedTuple):
    height: int
    width: int


class InputSize(_Size):
    """(height, width) of an input, which also knows its channels.

    Attributes
    ----------
    channels : int
        3 for R, G and B.
    """

    channels: int

    def __new__(cls, height: int, width: int, channels: int = RGB) -> Self:
        size = super().__new__(cls, height, width)
        size.channels = channels
        return size

    def __reduce__(self) -> tuple[type["InputSize"], tuple[int, int, int]]:
        return InputSize, (self.height, self.width, self.channels)


def channels_of(size: Sequence[int]) -> int:
    """The channels of an input of this size; 3 where it does not say."""
    return size.channels if isinstance(size, InputSize) else RGB
