"""What tracing carries along the graph in place of activations.

A `Flow` says for every element of a tensor which input pixels can influence it, twice: `full` along all paths, `path`
along the spatial ones only. The two part where an operation lets everything see the whole map; from there `path` is
what a residual or gated map still sees through its own windows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import progression as progressions
from indexer.receptive_field.flow import reach as reaches
from indexer.receptive_field.flow.dims import Dims
from indexer.receptive_field.flow.progression import Progression
from indexer.receptive_field.flow.reach import Reach


@dataclass(frozen=True)
class Flow:
    """The influence of the input on one tensor.

    Attributes
    ----------
    dims : Dims
        What the tensor's dimensions stand for.
    full, path : Reach
        What its elements see, along all paths and along the spatial ones.
    axes : mapping
        "y" and "x" to the arithmetic of `path` along that axis, None where there is none.
    mixer : str or None
        The first operation through which everything sees the whole map.
    doubt : str or None
        Why the reach does not hold; the dimensions still do.
    """

    dims: Dims
    full: Reach
    path: Reach
    axes: Mapping[str, Progression | None]
    mixer: str | None = None
    doubt: str | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return roles.shape_of(self.dims)

    @property
    def rank(self) -> int:
        return len(self.dims)

    def axis(self, index: int) -> int:
        """A dimension's index from the front."""
        return index % self.rank

    def mapped(self, change: Callable[[Reach], Reach], dims: Dims) -> "Flow":
        """The same change of both reaches; the arithmetic stays."""
        full = change(self.full)
        return replace(self, dims=dims, full=full, path=full if self.path is self.full else change(self.path))

    def rearranged(self, change: Callable[[np.ndarray], np.ndarray], dims: Dims) -> "Flow":
        """The same rearrangement of each array."""
        return self.mapped(lambda reach: reaches.each(reach, change), dims)

    def with_dim(self, axis: int, dim: roles.Dim) -> Dims:
        axis = self.axis(axis)
        return (*self.dims[:axis], dim, *self.dims[axis + 1 :])

    def with_axis(self, axis: int, change: Callable[[Progression], Progression | None]) -> "Flow":
        """The flow with the arithmetic of one dimension changed, where that dimension is rows or columns."""
        role = roles.role_of(self.dims[axis])
        old = self.axes.get(role)
        return self if old is None else replace(self, axes={**self.axes, role: change(old)})

    def gathered(self, axis: int, taps: np.ndarray, step: Callable[[Progression], Progression | None]) -> "Flow":
        """Along one dimension, element i becomes the hull of the elements taps[i].

        Parameters
        ----------
        taps : int array (out, k)
            Indices into the dimension, -1 for none.
        step
            What the operation does to the arithmetic of the axis.
        """
        dims = self.with_dim(axis, roles.resized(self.dims[axis], len(taps)))
        changed = self.with_axis(axis, step)
        return changed.mapped(lambda reach: reaches.gathered(reach, axis, taps), dims)

    def over(self, axes: Sequence[int], mixer: str) -> "Flow":
        """Every element becomes the hull along whole dimensions, which get size 1."""
        axes = sorted({self.axis(axis) for axis in axes})
        lost = {roles.role_of(self.dims[axis]) for axis in axes if not roles.is_channels(self.dims[axis])}
        dims = tuple(roles.resized(dim, 1) if index in axes else dim for index, dim in enumerate(self.dims))
        kept = {axis: None if lost & {axis, "token"} else old for axis, old in self.axes.items()}
        result = replace(self.mapped(lambda reach: reaches.over(reach, axes), dims), axes=kept)
        return result.cut_if_wider(self, mixer) if roles.covers_map(self.dims, axes) else result

    def cut_if_wider(self, before: "Flow", mixer: str) -> "Flow":
        """Leave the spatial path, where the operation that gave this flow showed anything more than `before` saw."""
        if reaches.equal(self.path, before.path):
            return self
        return replace(self, path=reaches.nothing(self.rank), mixer=self.mixer or mixer)

    def mixed(self, axes: Sequence[int], mixer: str) -> "Flow":
        """Every element sees what all along these dimensions see, and itself: norms, softmax."""
        return joined([self, self.over(axes, mixer)], self.shape)


def joined(flows: Sequence[Flow], shape: Sequence[int]) -> Flow:
    """The elementwise hull, broadcast to `shape`."""
    first, *others = flows
    full, path = first.full, first.path
    for other in others:
        full, path = reaches.hull(full, other.full), reaches.hull(path, other.path)
    same = all(flow.path is flow.full for flow in flows)
    rank = len(shape)

    def padded(array: np.ndarray) -> np.ndarray:
        return array.reshape((1,) * (rank - array.ndim) + array.shape)

    full, path = reaches.each(full, padded), reaches.each(path, padded)
    on_path = [flow for flow in flows if not reaches.is_empty(flow.path)]
    axes = {axis: progressions.join(flow.axes[axis] for flow in on_path) for axis in ("y", "x")}
    mixer = next((flow.mixer for flow in flows if flow.mixer), None)
    return Flow(_joined_dims(flows, shape), full, full if same else path, axes, mixer)


def _joined_dims(flows: Sequence[Flow], shape: Sequence[int]) -> Dims:
    dims = []
    for back, size in enumerate(reversed(shape), start=1):
        found = [flow.dims[-back] for flow in flows if back <= flow.rank and roles.size_of(flow.dims[-back]) == size]
        known = [dim for dim in found if roles.role_of(dim) not in (roles.NEW, roles.UNKNOWN)]
        at_odds = len({roles.role_of(dim) for dim in known}) > 1
        known = [] if at_odds else known
        dims.append((known or (not at_odds and found) or [roles.whole(roles.UNKNOWN, size)])[0])
    return tuple(reversed(dims))
