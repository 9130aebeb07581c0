"""Which inputs each output of an operation uses along one axis.

Every function returns an int array (out, k): row i holds the indices that output i uses, -1 for none.
"""

from fractions import Fraction

import numpy as np


def padded_indices(size: int, before: int, after: int, mode: str) -> np.ndarray:
    """The source index of each place of a padded axis, -1 where it is a constant; (before + size + after,).

    Negative padding crops.
    """
    places = np.arange(-before, size + after)
    inside = (places >= 0) & (places < size)
    match mode:
        case "zeros" | "constant":
            return np.where(inside, places, -1)
        case "replicate":
            return np.clip(places, 0, size - 1)
        case "circular":
            return places % size
        case "reflect":
            period = max(2 * (size - 1), 1)
            folded = np.abs(places) % period
            return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(places)
    raise ValueError(f"unknown padding mode {mode!r}")


def window(out: int, kernel: int, stride: int, dilation: int, source: np.ndarray) -> np.ndarray:
    """Convolution and pooling over an axis whose places stand for `source`; windows may hang over its end."""
    places = np.arange(out)[:, None] * stride + np.arange(kernel) * dilation
    return np.where(places < len(source), source[np.minimum(places, len(source) - 1)], -1)


def adaptive(size: int, out: int) -> np.ndarray:
    """Adaptive pooling: output i uses [floor(i * size / out), ceil((i + 1) * size / out))."""
    first = np.arange(out) * size // out
    end = -(-(np.arange(out) + 1) * size // out)
    places = first[:, None] + np.arange((end - first).max())
    return np.where(places < end[:, None], places, -1)


def transposed(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> np.ndarray:
    """Transposed convolution: input i adds to the outputs i * stride - padding + k * dilation."""
    source = np.arange(out)[:, None] + padding - np.arange(kernel) * dilation
    used = (source % stride == 0) & (source >= 0) & (source // stride < size)
    return np.where(used, source // stride, -1)


def nearest(size: int, out: int, scale: float | None, *, exact: bool) -> np.ndarray:
    """Nearest-neighbour resizing, torch's "nearest" or "nearest-exact"."""
    step = np.float32(1 / scale) if scale else np.float32(size) / np.float32(out)
    shift = np.float32(0.5 if exact else 0)
    places = np.floor((np.arange(out, dtype=np.float32) + shift) * step).astype(int)
    last: np.ndarray = np.minimum(places, size - 1)
    return last[:, None]


def linear(size: int, out: int, scale: float | None, *, align_corners: bool) -> np.ndarray:
    """Linear resizing: the one or two neighbours with weight."""
    rows = np.full((out, 2), -1)
    for i in range(out):
        if align_corners:
            place = Fraction(i * (size - 1), out - 1) if out > 1 else Fraction(0)
        else:
            step = Fraction(1 / scale).limit_denominator(10**6) if scale else Fraction(size, out)
            place = max(step * (i + Fraction(1, 2)) - Fraction(1, 2), Fraction(0))
        low = min(int(place), size - 1)
        rows[i, 0] = low
        if place != low and low + 1 < size:
            rows[i, 1] = low + 1
    return rows


def grouped(groups: np.ndarray) -> np.ndarray:
    """Every place uses all places of its group; `groups` is (size,), any integers."""
    members = [np.flatnonzero(groups == group) for group in groups]
    taps = np.full((len(groups), max(map(len, members))), -1)
    for row, places in zip(taps, members, strict=True):
        row[: len(places)] = places
    return taps
