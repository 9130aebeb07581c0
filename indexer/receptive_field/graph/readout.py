"""From the flow at a layer's output to the receptive field and the dimensions that unitscope keeps."""

import numpy as np

from indexer.receptive_field.field import AxisField, LayerTrace, ReceptiveField
from indexer.receptive_field.flow import dims as roles
from indexer.receptive_field.flow import reach as reaches
from indexer.receptive_field.flow.flow import Flow
from indexer.receptive_field.flow.progression import Progression


def unsupported(reason: str, dims: tuple[str, ...]) -> LayerTrace:
    return LayerTrace(ReceptiveField("unsupported", reason, None, None), dims)


def layer_trace(flow: Flow, input_size: tuple[int, int]) -> LayerTrace:
    """The field of a layer whose output has this flow.

    Parameters
    ----------
    input_size : (int, int)
        Height and width of the input in pixels.
    """
    dims = output_dims(flow)
    if flow.doubt:
        return unsupported(flow.doubt, dims)
    if _cells(flow) == 1:
        return LayerTrace(ReceptiveField("exact", None, *_vector_axes(flow.full)), dims)
    whole = reaches.is_uniform(flow.full) and not reaches.equal(*_over_channels(flow, dims))
    places = (dims.index("y"), dims.index("x")) if sorted(dims) == ["C", "N", "x", "y"] else None
    if whole:
        reason = f"{flow.mixer} lets every cell see {_extent(flow.full, input_size)}"
        seen = None if reaches.is_empty(flow.path) else places
        y, x = _axes(flow.path, flow, seen, input_size) if seen else (None, None)
        return LayerTrace(ReceptiveField("whole input", reason, y, x), dims)
    if places is None:
        return unsupported(f"the output has the dimensions {', '.join(dims)}, which is not a map of cells", dims)
    y, x = _axes(flow.full, flow, places, input_size)
    if y is None or x is None:
        return unsupported("the cells' boxes are not a product of rows and columns", dims)
    return LayerTrace(ReceptiveField("exact", None, y, x), dims)


def output_dims(flow: Flow) -> tuple[str, ...]:
    """The roles of the dimensions, in order."""
    names = [roles.role_of(dim) for dim in flow.dims]
    if len(names) == 2 and "N" in names:
        return ("N", "C") if names[0] == "N" else ("C", "N")
    if len(names) == 4 and names[:2] == ["N", "C"] and set(names[2:]) <= {roles.NEW}:
        return ("N", "C", "y", "x")
    return tuple(roles.UNKNOWN if name == roles.NEW else name for name in names)


def _cells(flow: Flow) -> int:
    cells = [roles.size_of(dim) for dim in flow.dims if roles.role_of(dim) != "N" and not roles.is_channels(dim)]
    hidden = flow.rank > 2
    return int(np.prod(cells)) if cells and hidden else 1


def _over_channels(flow: Flow, dims: tuple[str, ...]) -> tuple[reaches.Reach, reaches.Reach]:
    flat = [axis for axis, name in enumerate(dims) if name in ("N", "C")]
    return reaches.over(flow.full, flat), reaches.over(flow.path, flat)


def _interval(first: int, end: int) -> tuple[int, int]:
    return (first, end) if end != reaches.EMPTY else (0, 0)


def _vector_axes(reach: reaches.Reach) -> tuple[AxisField, AxisField]:
    up, down, left, right = (int(array.max()) for array in reach)
    return AxisField((_interval(-up, down),)), AxisField((_interval(-left, right),))


def _extent(reach: reaches.Reach, input_size: tuple[int, int]) -> str:
    (rows,), (columns,) = (axis.intervals for axis in _vector_axes(reach))
    if (rows, columns) == ((0, input_size[0]), (0, input_size[1])):
        return "the whole input"
    return f"the whole map, rows {rows[0]} to {rows[1] - 1} and columns {columns[0]} to {columns[1] - 1} of the input"


def _axes(
    reach: reaches.Reach, flow: Flow, places: tuple[int, int], input_size: tuple[int, int]
) -> tuple[AxisField, AxisField] | tuple[None, None]:
    """Rows and columns of a map, (None, None) where the boxes are not a product of the two."""
    shape = tuple(flow.shape[axis] for axis in places)
    others = tuple(axis for axis in range(flow.rank) if axis not in places)
    boxes = [array.max(axis=others, keepdims=True).squeeze(others) for array in reach]
    if places[0] > places[1]:
        boxes = [array.T for array in boxes]
    up, down, left, right = (np.broadcast_to(array, shape) for array in boxes)
    rows = np.stack([up.max(1), down.max(1)])
    columns = np.stack([left.max(0), right.max(0)])
    product = [rows[0][:, None], rows[1][:, None], columns[0][None], columns[1][None]]
    seen = (rows[0] != reaches.EMPTY)[:, None] & (columns[0] != reaches.EMPTY)[None]
    for box, expected in zip((up, down, left, right), product, strict=True):
        if (np.where(seen, box, 0) != np.where(seen, expected, 0)).any():
            return None, None
    same = reach is flow.path or reaches.equal(flow.full, flow.path)
    steps = flow.axes if same else {"y": None, "x": None}
    return _axis(rows, steps["y"], input_size[0]), _axis(columns, steps["x"], input_size[1])


def _axis(ends: np.ndarray, step: Progression | None, size: int) -> AxisField:
    intervals = tuple(_interval(-int(before), int(after)) for before, after in ends.T)
    if step is None or not all(_follows(step.interval(i), seen, size) for i, seen in enumerate(intervals)):
        return AxisField(intervals)
    return AxisField(intervals, step.size, step.stride, step.start)


def _follows(expected: tuple[int, int], seen: tuple[int, int], size: int) -> bool:
    """Whether an interval is the expected one, or within it where that crosses a border."""
    if expected[0] >= 0 and expected[1] <= size:
        return seen == expected
    return seen == (0, 0) or (expected[0] <= seen[0] and seen[1] <= expected[1])
