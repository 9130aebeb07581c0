"""Brings the values of a `Preprocessing`'s fields, as people write them, into one form."""

import math
import operator
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from indexer.defaults import INTERPOLATIONS
from indexer.errors import InvalidRequest
from indexer.images.input_size import MAX_CHANNELS

MAX_RESIZED: Final = 1 << 26
"""The most pixels of a resized picture. Without a bound, a strip of 1 x 50,000 pixels would become 256 x 12,800,000."""
MAX_SIDE: Final = 1 << 16
"""The longest side that may be asked for. It is the manifest's bound as well."""


def resize_of(value: Any) -> tuple[int, ...] | None:
    """``None``, the length of the shorter side as (n,), or (height, width)."""
    return None if value is None else _sides("resize", value)


def crop_of(value: Any) -> tuple[int, int] | None:
    """``None``, or (height, width); one number stands for both."""
    if value is None:
        return None
    sides = _sides("crop", value)
    return sides[0], sides[-1]


def interpolation_of(value: Any) -> str:
    """The name of an interpolation, given as that name or as torchvision's ``InterpolationMode``."""
    name = getattr(value, "value", value)
    if name not in INTERPOLATIONS:
        raise InvalidRequest(f"interpolation {name!r} is not one of {', '.join(INTERPOLATIONS)}")
    return str(name)


def mean_of(value: Any) -> tuple[float, ...]:
    """The means of the channels in 0..1, such as R, G and B; one number stands for all."""
    return _channels("mean", value)


def std_of(value: Any) -> tuple[float, ...]:
    """The standard deviations of the channels in 0..1, each above 0; one number stands for all."""
    channels = _channels("std", value)
    if min(channels) <= 0:
        raise InvalidRequest(f"std must be three numbers above 0, or one, not {value!r}")
    return channels


def channels_of(value: Any) -> int:
    """How many channels the input has: 1 for grey, 3 for R, G and B, or as many as the images have."""
    try:
        channels = _whole(value)
    except TypeError:
        channels = 0
    if not 1 <= channels <= MAX_CHANNELS:
        raise InvalidRequest(f"channels must be a whole number from 1 to {MAX_CHANNELS}, not {value!r}")
    return channels


def one_each(name: str, numbers: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """A number for each channel; one number stands for all."""
    if len(numbers) not in (1, channels):
        raise InvalidRequest(
            f"{name} has {len(numbers)} numbers, and the input {channels} channels; give one number, or one for each "
            f"channel, and channels={len(numbers)} where the network takes so many"
        )
    return numbers * channels if len(numbers) == 1 else numbers


def value_range_of(value: Any) -> tuple[float, float] | None:
    """``None``, or the values that are black and white, for grey with more than 8 bits."""
    if value is None:
        return None
    try:
        low, high = (float(part) for part in value)
    except (TypeError, ValueError):
        low, high = math.nan, math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise InvalidRequest(f"value_range must be two numbers LOW,HIGH with LOW below HIGH, not {value!r}")
    return low, high


def _sides(name: str, value: Any) -> tuple[int, ...]:
    try:
        sides = tuple(_whole(part) for part in _listed(value))
    except TypeError:
        sides = ()
    if len(sides) not in (1, 2) or min(sides) < 1:
        meaning = "the shorter side" if name == "resize" else "the side of a square"
        raise InvalidRequest(
            f"{name} must be a positive whole number ({meaning}), a pair of them (height, width), or None to leave the "
            f"size as it is, not {value!r}"
        )
    if max(sides) > MAX_SIDE or sides[0] * sides[-1] > MAX_RESIZED:
        raise InvalidRequest(
            f"{name} must be at most {MAX_RESIZED} pixels in all and {MAX_SIDE} a side, "
            f"not {' x '.join(map(str, sides))}"
        )
    return sides


def _whole(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError("a truth value is not a length")
    return operator.index(value)


def _channels(name: str, value: Any) -> tuple[float, ...]:
    try:
        numbers = [float(part) for part in _listed(value) if not isinstance(part, (bool, str))]
    except (TypeError, ValueError, OverflowError):
        numbers = []
    if not 1 <= len(numbers) <= MAX_CHANNELS or len(numbers) != len(_listed(value)):
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise InvalidRequest(
            f"{name} must be one finite number, or three for R, G and B, or one for each channel, not {value!r}"
        )
    return tuple(numbers)


def _listed(value: Any) -> Sequence[Any]:
    """The values of a number, list, array or tensor as a list; a float32 as the shortest number that rounds to it."""
    if hasattr(value, "tolist"):
        array = np.asarray(value)
        value = [float(str(part)) for part in array.ravel()] if array.dtype == np.float32 else array.tolist()
    return list(value) if isinstance(value, (list, tuple)) else [value]
