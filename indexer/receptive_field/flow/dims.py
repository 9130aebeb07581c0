"""What the dimensions of a tensor stand for, kept through reshaping.

A dimension is a tuple of factors, each a role and a size, slowest first: flattening rows and columns gives one
dimension of the factors y and x, and splitting it again finds both.
"""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Factor(NamedTuple):
    """A part of a dimension: its role, its size, and how many there are in the whole map."""

    role: str
    size: int
    whole: int


Dim = tuple[Factor, ...]
Dims = tuple[Dim, ...]

NEW = "1"  # a dimension of size 1 that stands for nothing
UNKNOWN = "?"


def whole(role: str, size: int) -> Dim:
    """A dimension that is all of one role."""
    return (Factor(role, size, size),)


def image_dims(batch: int, channels: int, height: int, width: int) -> Dims:
    """The dimensions of a batch of images."""
    return whole("N", batch), whole("C", channels), whole("y", height), whole("x", width)


def size_of(dim: Dim) -> int:
    return math.prod(factor.size for factor in dim)


def shape_of(dims: Dims) -> tuple[int, ...]:
    return tuple(size_of(dim) for dim in dims)


def role_of(dim: Dim) -> str:
    """The role of a whole dimension: "N", "C", "y", "x", "token", "1" or "?"."""
    roles = list(dict.fromkeys(factor.role for factor in dim if factor.size > 1))
    if not roles:
        return next((factor.role for factor in dim if factor.role != NEW), NEW)
    if len(roles) == 1:
        return roles[0]
    if set(roles) == {"y", "x"}:
        return "token"
    if set(roles) == {"y", "x", "C"}:
        return "C"
    # Two factors: sub-pixel channels follow the rows they refine, flattened rows follow their channel.
    return roles[0] if "C" in roles and len(roles) == 2 and "N" not in roles else UNKNOWN


def is_channels(dim: Dim) -> bool:
    """Whether no place is hidden in the dimension."""
    return all(factor.role == "C" for factor in dim if factor.size > 1)


def resized(dim: Dim, size: int) -> Dim:
    """The dimension with another size: its factors are lost, its role stays."""
    if size == size_of(dim):
        return dim
    role = role_of(dim)
    return whole(UNKNOWN if role == NEW else role, size)


def covers_map(dims: Dims, axes: Sequence[int]) -> bool:
    """Whether some places lie along these axes, and all places of the map do."""
    along = [factor for axis in axes for factor in dims[axis] if factor.size > 1]
    if all(factor.role in ("C", "N") for factor in along):
        return False
    everywhere = [factor for dim in dims for factor in dim if factor.role not in ("C", "N", NEW)]
    return all(
        factor.whole == math.prod(other.size for other in along if other.role == factor.role) for factor in everywhere
    )


def aligned_groups(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[range, range]]:
    """Split a reshape into the smallest runs of dimensions that keep their number of elements."""
    i = j = 0
    while i < len(old) and j < len(new):
        a, b = i + 1, j + 1
        while (left := math.prod(old[i:a])) != (right := math.prod(new[j:b])):
            if left < right:
                a += 1
            else:
                b += 1
        if math.prod(old[a:]) == 1 and math.prod(new[b:]) == 1 and (a == len(old) or b == len(new)):
            a, b = len(old), len(new)  # trailing dimensions of size 1 belong to the last run
        yield range(i, a), range(j, b)
        i, j = a, b


def regrouped(factors: Sequence[Factor], sizes: Sequence[int]) -> Dims:
    """Deal a run of factors out to dimensions of the given sizes, splitting factors where needed.

    All become unknown where a size cuts through a factor that it does not divide.
    """
    remaining = deque(factors)
    dims: list[Dim] = []
    for size in sizes:
        dim = _dealt(remaining, size)
        if dim is None:
            return tuple(whole(UNKNOWN, each) for each in sizes)
        dims.append(dim)
    if dims:
        dims[-1] += tuple(remaining)  # those of size 1 that no dimension needed
    return tuple(_merged(dim) for dim in dims)


def _dealt(remaining: deque[Factor], size: int) -> Dim | None:
    """Take factors that make up this size from the front, and leave there what the last has beyond it.

    None where the last cannot be divided so.
    """
    dim: list[Factor] = []
    missing = size
    while missing > 1:
        factor = remaining.popleft()
        part = min(factor.size, missing)
        if factor.size % part or missing % part:
            return None
        dim.append(factor._replace(size=part))
        if factor.size > part:
            remaining.appendleft(factor._replace(size=factor.size // part))
        missing //= part
    if not dim and remaining and remaining[0].size == 1:
        dim.append(remaining.popleft())  # a dimension of size 1 keeps its role
    return tuple(dim) or whole(NEW, 1)


def _merged(dim: Dim) -> Dim:
    """Neighbouring factors of one role as one."""
    merged: list[Factor] = []
    for factor in dim:
        if merged and merged[-1].role == factor.role:
            merged[-1] = merged[-1]._replace(size=merged[-1].size * factor.size)
        else:
            merged.append(factor)
    return tuple(merged)
