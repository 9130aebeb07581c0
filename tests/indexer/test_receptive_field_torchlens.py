"""Agreement with torchlens wherever it says that its own receptive field is exact."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from indexer.receptive_field import AxisField, LayerTrace
from indexer.receptive_field.trace import trace_layers
from tests.indexer.test_receptive_field_models import FAMILIES, build, run_once, spread
from tests.indexer.test_receptive_field_twin import one_thread

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import torchlens
    from torchlens.backends.torch.wrappers import unwrap_torch

__all__ = ["one_thread"]

# How many of the layers that run once torchlens must call exact, so that the comparison is never of nothing.
QUICK = {"alexnet": 14, "convnext_tiny": 1}  # the slow test below has them all


@contextmanager
def own_torch() -> Iterator[None]:
    """torchlens wraps torch's functions when it first traces, and leaves them so: not for the tests to come."""
    before = F.relu, torch.flatten
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        unwrap_torch()
    assert (F.relu, torch.flatten) == before


def their_fields(name: str, layers: list[str]) -> dict[str, Any]:
    """The receptive fields that torchlens states for the layers, as it states them."""
    trace = torchlens.trace(build(name), torch.rand(1, 3, *FAMILIES[name]))
    views = {layer: trace.modules[layer].receptive_field for layer in layers}
    return {layer: view for layer, view in views.items() if view.per_input}


def assert_same_arithmetic(ours: AxisField, size: int, jump: Fraction, center: Fraction) -> None:
    if ours.size is None:
        # A map of one cell, whose window happens to be the whole map, has no progression here.
        assert len(ours.intervals) == 1
        return
    assert ours.start is not None
    assert (ours.size, ours.stride) == (size, jump)
    assert ours.start + Fraction(ours.size - 1, 2) == center


def assert_same_boxes(trace: LayerTrace, view: Any) -> None:
    """Corner, border and middle cells."""
    field = trace.field
    assert field.y is not None
    assert field.x is not None
    height, width = len(field.y.intervals), len(field.x.intervals)
    for y, x in {(0, 0), (height - 1, width - 1), (height // 2, width // 2), (0, width // 2), (height // 2, 0)}:
        theirs = {axis.input_axis: (axis.clipped_start, axis.clipped_stop) for axis in view.at((y, x)).axes}
        for ours, (start, stop) in ((field.y.intervals[y], theirs[2]), (field.x.intervals[x], theirs[3])):
            assert ours == (start, stop)


def compare_layer(trace: LayerTrace, view: Any) -> None:
    """The same arithmetic and the same boxes."""
    assert trace.field.kind == "exact"
    for axis, *progression in zip("yx", view.size, view.jump, view.center0, strict=True):
        assert_same_arithmetic(getattr(trace.field, axis), *progression)
    assert_same_boxes(trace, view)


def compare(name: str, count: int) -> int:
    """Compare up to `count` layers spread over the model; how many were exact in torchlens."""
    model = build(name)
    layers = spread(run_once(model, FAMILIES[name]), count)
    traces = trace_layers(model, layers, FAMILIES[name])
    exact = 0
    with own_torch():
        for layer, view in their_fields(name, layers).items():
            if view.status.value == "exact":
                exact += 1
                compare_layer(traces[layer], view)
    return exact


@pytest.mark.slow
@pytest.mark.parametrize("name", QUICK)
def test_agrees_with_torchlens(name: str) -> None:
    assert compare(name, 24) >= QUICK[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_agrees_with_torchlens_in_every_layer(name: str) -> None:
    assert compare(name, 10_000) > 0
