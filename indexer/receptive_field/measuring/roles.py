"""The roles of an output's dimensions, measured: a dimension along which changes move with the image's rows is rows.

The axis that grows with the batch is N. A patch of noise is put on a plain image, at each point of a grid in turn.
Along y, the change in the output moves with the patch's row and not with its column; along x the other way round;
along C it does not move. An axis that behaves otherwise makes the layout unknown: nothing is guessed.
"""

from collections.abc import Sequence

import numpy as np
import torch

from indexer.errors import InvalidRequest
from indexer.receptive_field.measuring.runner import Outputs, Runner

GRID = 4
SEEDS = (0, 1, 2)
_MOVES, _STAYS, _ASIDE = 0.4, 0.12, 0.2
"""Of an axis' length: the least way of what moves, the most of what stays; and of the way, the most that is aside."""


def measured_roles(run: Runner, layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The roles of each layer's dimensions, all "?" where they are not told apart beyond doubt.

    Parameters
    ----------
    layers : sequence of str
        Run once each and give a tensor.
    """
    with torch.no_grad():
        single = {layer: outputs[0] for layer, outputs in run(run.noise(1, 0)).items()}
        try:
            pair = {layer: outputs[0] for layer, outputs in run(run.noise(2, 0)).items() if len(outputs) == 1}
        except InvalidRequest:  # a batch of another size
            pair = {}
        batch = {
            layer: _batch_axis(single[layer].shape, pair[layer].shape if layer in pair else single[layer].shape)
            for layer in layers
        }
        with_axes = [layer for layer in layers if batch.get(layer) is not None and single[layer].dim() in (3, 4)]
        moved = _moved(run, with_axes) if with_axes else {}
    roles = {}
    for layer in layers:
        axis, rank = batch.get(layer), single[layer].dim()
        if axis is None:
            roles[layer] = ("?",) * rank
        elif rank == 2:
            roles[layer] = ("N", "C") if axis == 0 else ("C", "N")
        else:
            roles[layer] = _named(axis, single[layer].shape, moved.get(layer, {}))
    return roles


def _batch_axis(one: torch.Size, two: torch.Size) -> int | None:
    """The axis that is as long as the batch, and alone depends on it.

    Networks that take one image at a time have the same shape twice: of one image, the only axis of length 1 it is.
    """
    if one == two:
        return one.index(1) if one.count(1) == 1 else None
    if len(one) != len(two):
        return None
    differ = [axis for axis, (a, b) in enumerate(zip(one, two, strict=True)) if a != b]
    return differ[0] if len(differ) == 1 and (one[differ[0]], two[differ[0]]) == (1, 2) else None


def _moved(run: Runner, layers: Sequence[str]) -> dict[str, dict[int, str]]:
    """For each layer and axis longer than 1 its role, "?" where it is none beyond doubt."""
    centres: dict[str, list[np.ndarray]] = {layer: [] for layer in layers}
    for seed in SEEDS:
        plain = run.noise(1, seed)[:, :, :1, :1].expand(-1, -1, *run.size)
        before = run(plain)
        grid = [_centres(run(_with_patch(run, plain, place, seed)), before, layers) for place in np.ndindex(GRID, GRID)]
        for layer in layers:
            centres[layer].append(np.array([each[layer] for each in grid]).reshape(GRID, GRID, -1))
    roles = {}
    for layer, of_seeds in centres.items():
        mean = np.mean(of_seeds, axis=0)
        roles[layer] = {axis: _role(mean[:, :, axis]) for axis in range(mean.shape[2])}
    return roles


def _with_patch(run: Runner, plain: torch.Tensor, place: tuple[int, int], seed: int) -> torch.Tensor:
    (height, width), (row, column) = run.size, place
    high, wide = -(-height // GRID), -(-width // GRID)
    top, left = row * (height - high) // (GRID - 1), column * (width - wide) // (GRID - 1)
    image = plain.clone()
    image[:, :, top : top + high, left : left + wide] += 2 * run.noise(1, seed + 100)[:, :, :high, :wide]
    return image


def _centres(after: Outputs, before: Outputs, layers: Sequence[str]) -> dict[str, list[float]]:
    """Where along each axis the change lies on average, as a share of the axis; NaN along those of length 1."""
    by_layer = {}
    for layer in layers:
        change = (after[layer][0] - before[layer][0]).double().square()
        centres = []
        for axis in range(change.dim()):
            profile = change.sum([other for other in range(change.dim()) if other != axis]).cpu().numpy()
            steps = np.arange(len(profile)) / max(len(profile) - 1, 1)
            total = profile.sum()
            centres.append(float(profile @ steps / total) if len(profile) > 1 and total > 0 else np.nan)
        by_layer[layer] = centres
    return by_layer


def _role(centres: np.ndarray) -> str:
    """The role of an axis along which the change lies here for each row and column of the grid."""
    if np.isnan(centres).any():
        return "?"
    by_row, by_column = centres.mean(1), centres.mean(0)
    rest = centres - by_row[:, None] - by_column[None] + centres.mean()
    ways = {"y": np.ptp(by_row), "x": np.ptp(by_column)}
    aside = np.abs(rest).max()
    for role, other, line in (("y", "x", by_row), ("x", "y", by_column)):
        steady = (np.diff(line) >= -0.02).all() or (np.diff(line) <= 0.02).all()
        if ways[role] >= _MOVES and steady and max(ways[other], aside) <= _ASIDE * ways[role]:
            return role
    if max(ways.values()) >= _MOVES:
        return "token"
    return "C" if max(*ways.values(), aside) <= _STAYS else "?"


def _named(batch: int, shape: torch.Size, moved: dict[int, str]) -> tuple[str, ...]:
    """All roles, if they are those of a map or of tokens; an axis of length 1 is whatever is missing."""
    unknown = ("?",) * len(shape)
    wanted = {3: ["token", "C"], 4: ["C", "y", "x"]}.get(len(shape), [])
    axes = [axis for axis in range(len(shape)) if axis != batch]
    names = {axis: moved.get(axis, "?") for axis in axes if shape[axis] > 1}
    if len(shape) == 3:  # no map: the rows may be tokens too, as far as can be told
        names = {axis: "token" if name in ("y", "x") else name for axis, name in names.items()}
    if {"y", "x"} <= set(names.values()):  # nothing else is left for the fourth
        names = {axis: "C" if name == "?" else name for axis, name in names.items()}
    if "?" in names.values() or len(set(names.values())) < len(names) or not set(names.values()) <= set(wanted):
        return unknown
    missing = iter([role for role in wanted if role not in names.values()])
    roles = {batch: "N"} | {axis: names[axis] if axis in names else next(missing) for axis in axes}
    return tuple(roles[axis] for axis in range(len(shape)))
