"""Receptive fields and dimensions of layers where tracing ends, measured on a copy of the model.

1. `roles` finds the dimensions, where the trace does not know them and nobody has said them.
2. The gradients of whole rows and columns of the map, through the copy in double precision, show which rows and
   columns of the image reach them. `straight` keeps gradients from vanishing by chance.
3. Bands of other images are changed, and what changes behind them is compared: where something changes that no gradient
   showed, the field is the hull of the bands that change it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from indexer.receptive_field.field import AxisField, LayerTrace, ReceptiveField
from indexer.receptive_field.maps import maps_of
from indexer.receptive_field.measuring.roles import measured_roles
from indexer.receptive_field.measuring.runner import Runner
from indexer.receptive_field.measuring.straight import StraightThrough

IMAGES = 2
WORK = 2e10
"""Floating point operations for the gradients of all layers, some seconds of two cores. Where the rows of the maps need
more, neighbouring ones are measured together. A bound in seconds would give another field each time."""
BANDS, CHECKS = 32, 6
_LEAST = 1e-30
"""Of the largest gradient: what has less influence shows in no float32 activation, a masked place for one."""

Hull = list[tuple[int, int] | None]


@dataclass
class _Axes:
    """For each row and column of the map, the pixels seen, None for none yet."""

    y: Hull
    x: Hull

    def add(self, axis: str, cell: int, seen: np.ndarray) -> None:
        if not seen.any():
            return
        pixels = np.flatnonzero(seen)
        known, hull = getattr(self, axis)[cell], (int(pixels[0]), int(pixels[-1]) + 1)
        getattr(self, axis)[cell] = hull if known is None else (min(known[0], hull[0]), max(known[1], hull[1]))

    def misses(self, axis: str, cell: int, first: int, end: int) -> bool:
        """Whether a cell is said to see nothing of these pixels."""
        seen = getattr(self, axis)[cell]
        return seen is None or seen[1] <= first or end <= seen[0]


def measured(model: nn.Module, traces: Mapping[str, LayerTrace], size: tuple[int, int]) -> dict[str, LayerTrace]:
    """The traces with what could be measured; their fields' reasons say why tracing ended.

    Parameters
    ----------
    traces : mapping of str to LayerTrace
        Of layers that run once and give a tensor. Dimensions that are not known are measured too.
    """
    traces = dict(traces)
    run = Runner(model, list(traces), size)
    open_ = [layer for layer, trace in traces.items() if trace.layout is None and "?" in (trace.dims or "?")]
    if open_:
        for layer, roles in measured_roles(run, open_).items():
            traces[layer] = replace(traces[layer], dims=roles)
    with torch.no_grad():
        outputs = run(run.noise(1, 0))
    maps = {layer: maps_of(outputs[layer][0], trace) for layer, trace in traces.items()}
    mapped = {
        layer: traces[layer]
        for layer, each in maps.items()
        if each is not None and traces[layer].field.kind == "unsupported"
    }
    return traces | (_fields(model, mapped, size) if mapped else {})


def moved_unseen(run: Runner, traces: Mapping[str, LayerTrace]) -> set[str]:
    """The layers in which something changes that their fields say cannot."""
    fields = {layer: trace.field for layer, trace in traces.items() if is_map(trace)}
    claimed = {
        layer: _Axes(list(field.y.intervals), list(field.x.intervals))
        for layer, field in fields.items()
        if field.kind == "exact" and field.y is not None and field.x is not None
    }
    return _contradicted(run, traces, claimed) if claimed else set()


def is_map(trace: LayerTrace) -> bool:
    """Whether the dimensions are known to be those of maps or vectors."""
    return sorted(trace.dims) in (["C", "N", "x", "y"], ["C", "N"])


def _fields(model: nn.Module, traces: Mapping[str, LayerTrace], size: tuple[int, int]) -> dict[str, LayerTrace]:
    try:
        run = Runner(model, list(traces), size, torch.float64)
        found, coarse = _by_gradients(run, traces)
    except Exception:  # a model that runs in its own type alone, or lets no gradient through
        run, found, coarse = Runner(model, list(traces), size), {}, 1
    result = {}
    by_bands = set(traces) - set(found)
    if found:
        by_bands |= _contradicted(run, traces, found)
    bands = _by_bands(run, {layer: traces[layer] for layer in by_bands}, found) if by_bands else {}
    for layer, trace in traces.items():
        how = f"measured by gradients on {IMAGES} random images"
        if coarse > 1:
            how += f", up to {coarse} rows at a time"
        if layer in by_bands:
            how = f"measured by changing {BANDS} bands of rows and of columns of {IMAGES} random images"
        axes = bands.get(layer) or found[layer]
        field = ReceptiveField("measured", f"{how}, as {trace.field.reason}", _axis(axes.y), _axis(axes.x))
        result[layer] = replace(trace, field=field)
    return result


def _axis(hull: Hull) -> AxisField:
    return AxisField(tuple(seen or (0, 0) for seen in hull))


def _empty(maps: torch.Tensor) -> _Axes:
    return _Axes([None] * maps.shape[2], [None] * maps.shape[3])


def _by_gradients(run: Runner, traces: Mapping[str, LayerTrace]) -> tuple[dict[str, _Axes], int]:
    """What each row and column of each layer's map sees, and how many were measured at a time at most."""
    from torch.utils.flop_counter import FlopCounterMode  # loads Triton, which most networks can do without

    found: dict[str, _Axes] = {}
    coarse = 1
    for seed in range(IMAGES):
        image = run.noise(1, seed).requires_grad_()
        with torch.enable_grad(), FlopCounterMode(display=False) as counter, StraightThrough():
            outputs = run(image * 1.0)
        most = max(4, int(WORK / IMAGES / len(traces) / max(counter.get_total_flops(), image.numel())))
        for layer, trace in traces.items():
            maps = maps_of(outputs[layer][0], trace)
            if maps is None or not maps.requires_grad:
                found.pop(layer, None)
                continue
            axes = found.setdefault(layer, _empty(maps))
            coarse = max(coarse, _add_gradients(axes, maps, image, seed, most))
    return found, coarse


def _add_gradients(axes: _Axes, maps: torch.Tensor, image: torch.Tensor, seed: int, most: int) -> int:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(maps.shape, generator=generator, dtype=maps.dtype).to(maps.device) + 0.5
    weighted = maps * weights
    cells = sum(weighted.shape[2:])
    together = -(-cells // most)
    for name, axis in (("y", 2), ("x", 3)):
        for first in range(0, weighted.shape[axis], together):
            group = range(first, min(first + together, weighted.shape[axis]))
            part = weighted.narrow(axis, first, len(group)).sum()
            gradient = _gradient(part, image)
            strength = gradient.amax(1 if name == "y" else 0)
            seen = ~(strength <= _LEAST * strength.max()) | strength.isnan()
            for cell in group:
                axes.add(name, cell, seen.cpu().numpy() if strength.max() != 0 else np.zeros(len(seen), bool))
    return together


def _gradient(total: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """How much each pixel counts, (height, width)."""
    (gradient,) = torch.autograd.grad(total, image, retain_graph=True, allow_unused=True)
    return torch.zeros(image.shape[2:]) if gradient is None else gradient[0].abs().amax(0)


def _changed(run: Runner, before: Mapping[str, Any], image: torch.Tensor, traces: Mapping[str, LayerTrace]) -> Any:
    """For each layer the rows and the columns of its map that are others than before."""
    with torch.no_grad():
        after = run(image)
    changed = {}
    for layer, trace in traces.items():
        old, new = (maps_of(outputs[layer][0], trace) for outputs in (before, after))
        assert old is not None
        assert new is not None
        least = (1e-12 if old.dtype == torch.float64 else 1e-5) * old.abs().max()
        cells = ~((new - old).abs() <= least)[0].all(0)
        changed[layer] = {"y": cells.any(1).cpu().numpy(), "x": cells.any(0).cpu().numpy()}
    return changed


def _banded(run: Runner, image: torch.Tensor, axis: str, first: int, end: int, seed: int) -> torch.Tensor:
    other = image.clone()
    band = (slice(None), slice(None), *((slice(first, end), slice(None))[:: 1 if axis == "y" else -1]))
    other[band] = 3 * run.noise(1, 1000 + seed)[band]
    return other


def _contradicted(run: Runner, traces: Mapping[str, LayerTrace], found: Mapping[str, _Axes]) -> set[str]:
    """The layers in which something changes that no gradient has shown."""
    random = np.random.default_rng(0)
    known = {layer: trace for layer, trace in traces.items() if layer in found}
    image = run.noise(1, 77)
    with torch.no_grad():
        before = run(image)
    wrong = set()
    for check in range(CHECKS):
        axis = "yx"[check % 2]
        length = run.size[check % 2]
        width = max(1, length // 8)
        first = int(random.integers(0, length - width + 1))
        changed = _changed(run, before, _banded(run, image, axis, first, first + width, check), known)
        for layer in known:
            cells = np.flatnonzero(changed[layer][axis])
            if any(found[layer].misses(axis, int(cell), first, first + width) for cell in cells):
                wrong.add(layer)
    return wrong


def _by_bands(run: Runner, traces: Mapping[str, LayerTrace], found: Mapping[str, _Axes]) -> dict[str, _Axes]:
    axes: dict[str, _Axes] = {}
    for seed in range(IMAGES):
        image = run.noise(1, seed)
        with torch.no_grad():
            before = run(image)
        for layer, trace in traces.items():
            maps = maps_of(before[layer][0], trace)
            assert maps is not None
            axes.setdefault(layer, found.get(layer) or _empty(maps))
        for axis, length in zip("yx", run.size, strict=True):
            ends = np.unique(np.linspace(0, length, min(BANDS, length) + 1).astype(int))
            for first, end in pairwise(ends.tolist()):
                changed = _changed(run, before, _banded(run, image, axis, first, end, seed), traces)
                seen = (np.arange(length) >= first) & (np.arange(length) < end)
                for layer in traces:
                    for cell in np.flatnonzero(changed[layer][axis]):
                        axes[layer].add(axis, int(cell), seen)
    return axes
