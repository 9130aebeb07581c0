"""Marks that several files of tests share."""

import pytest


def seeds(count: int, quick: int = 1) -> list[object]:
    """Seeds 0 to ``count``; all but the first ``quick`` run with ``-m slow``, as they repeat it."""
    slow = (pytest.param(seed, marks=pytest.mark.slow) for seed in range(quick, count))
    return [*range(quick), *slow]
