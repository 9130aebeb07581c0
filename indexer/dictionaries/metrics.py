"""How good a dictionary is."""

import numpy as np
import torch

from indexer.network.encoding.encoders import Encoder

_BLOCK = 4096


def measured(encoder: Encoder, held_out: np.ndarray) -> dict[str, float | int]:
    """What a dictionary keeps of vectors (m, C) that it did not learn from.

    Returns
    -------
    dict
        ``r2``: 1 less the share of their variance that it does not give back. ``l0``: atoms that a vector has on
        average. ``dead``: atoms that none of them has. ``vectors``: m.
    """
    errors, kept, alive = 0.0, 0, np.zeros(encoder.components, bool)
    for first in range(0, len(held_out), _BLOCK):
        block = torch.from_numpy(held_out[first : first + _BLOCK]).double()
        codes = encoder.codes(block)
        errors += float((encoder.decode(codes) - block).square().sum())
        kept += int((codes > 0).sum())
        alive |= (codes > 0).any(dim=0).numpy()
    spread = float(np.square(held_out.astype(np.float64) - held_out.mean(axis=0, dtype=np.float64)).sum())
    return {
        "r2": 1 - errors / spread if spread else 0.0,
        "l0": kept / max(1, len(held_out)),
        "dead": int((~alive).sum()),
        "vectors": len(held_out),
    }


def stability(first: Encoder, second: Encoder) -> float:
    """The mean cosine of atoms with those of another dictionary, each with one, in the best pairing (Hungarian)."""
    from scipy.optimize import linear_sum_assignment

    ours, theirs = (_unit(encoder.atoms) for encoder in (first, second))
    cosines = ours @ theirs.T
    return float(cosines[linear_sum_assignment(-cosines)].mean())


def _unit(atoms: torch.Tensor) -> np.ndarray:
    unit: np.ndarray = (atoms / atoms.norm(dim=1, keepdim=True).clamp_min(1e-12)).numpy()
    return unit
