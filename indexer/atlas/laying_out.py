"""A layout of vectors, with how true it is."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.atlas.fitting import fitted_layout, perplexity_for, principal
from indexer.atlas.kept import kept_share

COMPARED: Final = 500
"""On so many points it is measured how many neighbours the layout keeps; on all, where there are fewer."""
NEIGHBOURS: Final = 10
"""Of so many nearest neighbours of each; of fewer, where there are few points."""


@dataclass(frozen=True)
class LaidOut:
    """Vectors in two dimensions.

    Attributes
    ----------
    places : ndarray (P, 2) float64
    perplexity : int
        That of t-SNE, which few points make smaller than was asked for.
    compared, neighbours : int
        How many points were compared, by lot, and how many nearest neighbours of each.
    kept, kept_by_pca : float
        Share of the nearest neighbours by cosine that are among as many nearest in the layout; and among as many
        nearest by the first two principal components.
    """

    places: np.ndarray
    perplexity: int
    compared: int
    neighbours: int
    kept: float
    kept_by_pca: float


def laid_out(units: np.ndarray, perplexity: int, rng: np.random.Generator) -> LaidOut:
    """Lay vectors (P, C) float32 of length 1 out by t-SNE, and measure what the layout keeps.

    Raises
    ------
    InvalidRequest
        openTSNE is not installed.
    """
    places = fitted_layout(units, perplexity)
    compared = np.sort(rng.permutation(len(units))[:COMPARED])
    near = min(NEIGHBOURS, len(units) - 2)
    kept, by_pca = (kept_share(units, shown, compared, near) for shown in (places, principal(units)))
    return LaidOut(places, perplexity_for(len(units), perplexity), len(compared), near, kept, by_pca)
