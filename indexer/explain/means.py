"""Means over images, and how certain they are."""

import math

import numpy as np


def mean_and_error(values: np.ndarray) -> tuple[float, float | None]:
    """The mean of some values (n,) and its standard error, which one value does not have."""
    error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
    return float(values.mean()), error
