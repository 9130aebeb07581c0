"""How far each element of a tensor sees: four arrays, combined by the maximum.

A `Reach` is (up, down, left, right). Element e sees the pixel rows [-up[e], down[e]) and columns [-left[e], right[e]),
so that the hull of two boxes is the maximum of each of the four. Every array has as many dimensions as the tensor, and
size 1 along a dimension in which it does not vary. An element that sees nothing is EMPTY in all four.
"""

from collections.abc import Callable, Sequence

import numpy as np

Reach = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
EMPTY = -(2**30)


def of_pixels(height: int, width: int) -> Reach:
    """Each pixel of images (N, C, height, width) sees itself."""
    y, x = np.arange(height).reshape(1, 1, -1, 1), np.arange(width).reshape(1, 1, 1, -1)
    return -y, y + 1, -x, x + 1


def nothing(rank: int) -> Reach:
    """The reach of a constant."""
    empty = np.full((1,) * rank, EMPTY)
    return empty, empty, empty, empty


def each(reach: Reach, change: Callable[[np.ndarray], np.ndarray]) -> Reach:
    up, down, left, right = (change(array) for array in reach)
    return up, down, left, right


def hull(a: Reach, b: Reach) -> Reach:
    """Elementwise, with broadcasting."""
    up, down, left, right = (np.maximum(m, n) for m, n in zip(a, b, strict=True))
    return up, down, left, right


def over(reach: Reach, axes: Sequence[int]) -> Reach:
    """The hull along whole dimensions, which stay with size 1."""
    return each(reach, lambda array: array.max(axis=tuple(axes), keepdims=True))


def is_empty(reach: Reach) -> bool:
    """Whether no element sees anything."""
    return bool((reach[0] == EMPTY).all())


def is_uniform(reach: Reach) -> bool:
    """Whether all elements that see something see the same box."""
    return all(seen.size == 0 or seen.min() == seen.max() for seen in (a[a != EMPTY] for a in reach))


def equal(a: Reach, b: Reach) -> bool:
    return a is b or all(bool((m == n).all()) for m, n in zip(a, b, strict=True))


def settled(reach: Reach) -> Reach:
    """Elements that are empty in one array become empty in all."""
    up, down, left, right = (array == EMPTY for array in reach)
    empty = up | down | left | right
    return each(reach, lambda array: np.where(empty, EMPTY, array)) if empty.any() else reach


def spread(array: np.ndarray, axis: int, size: int) -> np.ndarray:
    """The array with its full size along one dimension."""
    return array if array.shape[axis] == size else np.repeat(array, size, axis)


def gathered(reach: Reach, axis: int, taps: np.ndarray) -> Reach:
    """Element i along `axis` becomes the hull of the elements taps[i]; `taps` is (out, k), -1 where there is none."""
    hit = (taps >= 0).any(axis=1)

    def change(array: np.ndarray) -> np.ndarray:
        axis_ = axis % array.ndim
        if array.shape[axis_] == 1:  # constant along the axis
            beside = [-1 if dim == axis_ else 1 for dim in range(array.ndim)]
            return array if hit.all() else np.where(hit.reshape(beside), array, EMPTY)
        none = np.full_like(array.take([0], axis_), EMPTY)
        hull: np.ndarray = np.concatenate([array, none], axis_).take(taps, axis_).max(axis=axis_ + 1)
        return hull

    moved = each(reach, change)
    return moved if hit.all() else settled(moved)


def reshaped(reach: Reach, groups: Sequence[tuple[range, range]], old: Sequence[int], new: Sequence[int]) -> Reach:
    """The reach after a reshape that `dims.aligned_groups` has split into runs."""

    def change(array: np.ndarray) -> np.ndarray:
        wanted, result = list(array.shape), []
        for run, target in groups:
            varies = any(array.shape[dim] > 1 for dim in run)
            for dim in run:
                wanted[dim] = old[dim] if varies else 1
            result += [new[dim] if varies else 1 for dim in target]
        return np.broadcast_to(array, wanted).reshape(result)

    return each(reach, change)
