"""Vectors of length 1."""

import numpy as np


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (..., D) of length 1 in the same floating-point numbers; those of length 0 stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    divided: np.ndarray = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    return divided
