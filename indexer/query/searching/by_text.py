"""Neurons that fire for what a text says, by an image-text encoder's vectors of their top patches.

1. ``python -m indexer patch-vectors INDEX --layer L --encoder MODULE:FACTORY`` keeps the vectors.
2. ``fires_for(index, "L", encoder, vector)`` ranks the neurons by one of its vectors of a text.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from indexer.derive.carried.patch_vectors import EncoderName, PatchVectors
from indexer.derive.selectivity import auc_by_class, wilson_bound
from indexer.derive.unit import unit
from indexer.errors import InvalidRequest
from indexer.query.index import Index
from indexer.query.paging import page_of
from indexer.shards.format import LEAST_POSITIVE

LEAST_CHECKED: Final = 3
"""A text is checked on a neuron with so many patches that were not used to rank it."""


@dataclass(frozen=True, slots=True)
class FiresFor:
    """How well a text fits a neuron.

    Attributes
    ----------
    neuron : int
    score : float
        The cosine of the text's vector and the mean of those of the neuron's top patches of odd rank (the best, the
        third, …), as in Dreyer et al. 2025. Compare it with those of the layer's other neurons only.
    auc : float or None
        How well a patch's cosine with the text tells the neuron's patches of even rank, which the score did not use,
        from those of all other neurons. None where it has fewer than `LEAST_CHECKED`.
    auc_at_least : float or None
        The lower end of that AUC's one-sided 95 % interval.
    patches : int
        How many of the neuron's top patches have a vector.
    """

    neuron: int
    score: float
    auc: float | None
    auc_at_least: float | None
    patches: int


@dataclass(frozen=True)
class Ranked:
    """Neurons by a text.

    Attributes
    ----------
    items : list of FiresFor
        The best, by descending score; equals by number.
    total : int
        How many neurons have a score. Those none of whose top patches has a vector are left out.
    encoder : EncoderName
    mean, deviation : float
        Of the scores of all these neurons: what a score is to be seen beside.
    patches, wanted : int
        How many of the layer's top patches have a vector, and how many there are. The ranking is exact where both are
        the same; fewer have one after images were added or removed, or where originals are gone.
    """

    items: list[FiresFor]
    total: int
    encoder: EncoderName
    mean: float
    deviation: float
    patches: int
    wanted: int


@dataclass(frozen=True)
class TopCells:
    """The top patches of a layer's neurons: rows of the image table and cells (C, P), one of each image by descending
    peak, and which of them count (C, P) bool, being positive."""

    rows: np.ndarray
    cells: np.ndarray
    counts: np.ndarray


def top_cells(index: Index, layer: str, patches: int) -> TopCells:
    """The top patches of all neurons of a layer; NotFound, DamagedFile."""
    known = index.layer(layer)
    with known.reading():
        rows = np.asarray(known.order[:, :patches]).astype(np.int64)
        peaks, cells = (np.take_along_axis(array, rows, axis=1) for array in (known.peaks, known.peak_cells))
    return TopCells(rows, cells.astype(np.int64), peaks >= LEAST_POSITIVE)


def check_encoder(index: Index, layer: str, encoder: EncoderName) -> PatchVectors:
    """The vectors of a layer, which must be of this encoder.

    Raises
    ------
    NotFound, DamagedFile
    InvalidRequest
        Another encoder made them, so that its vectors of texts cannot be compared with them.
    """
    vectors = index.patch_vectors(layer)
    if vectors.encoder != encoder:
        made = vectors.encoder
        raise InvalidRequest(
            f"the patches of {layer} were encoded by {made.name!r} (digest {made.digest[:16]}), and texts by "
            f"{encoder.name!r} (digest {encoder.digest[:16]}): give that encoder, or run patch-vectors with this one"
        )
    return vectors


def fires_for(index: Index, layer: str, encoder: EncoderName, text: np.ndarray, limit: int = 20) -> Ranked:
    """Rank the neurons of a layer by how well a text fits what they fire for.

    Parameters
    ----------
    encoder : EncoderName
        Which made ``text``.
    text : ndarray (D,)
        Its vector of the text, of length 1.

    Raises
    ------
    NotFound
        There is no such layer, or none of its patches was encoded.
    InvalidRequest
        Another encoder made the patches' vectors.
    DamagedFile
    """
    vectors = check_encoder(index, layer, encoder)
    if text.shape != vectors.vectors.shape[1:]:
        raise InvalidRequest(f"the encoder gives texts {text.size} numbers and patches {vectors.vectors.shape[1]}")
    known = index.once(("means of patch vectors", layer), lambda: _prepared(index, layer, vectors))
    scores = known.means @ text.astype(np.float32)
    auc, at_least = _checked(vectors.vectors @ text.astype(np.float32), known)
    ranking = known.neurons[np.argsort(-scores, kind="stable")]
    by_number = np.full(len(known.patches), np.nan)
    by_number[known.neurons] = scores
    items = [
        FiresFor(each, float(by_number[each]), _value(auc[each]), _value(at_least[each]), int(known.patches[each]))
        for each in page_of(ranking, limit, 0).tolist()
    ]
    mean, deviation = (float(scores.mean()), float(scores.std())) if len(scores) else (0.0, 0.0)
    return Ranked(items, len(ranking), vectors.encoder, mean, deviation, int(known.patches.sum()), known.wanted)


@dataclass(frozen=True)
class _Prepared:
    """What all texts share: neurons (n,) with a mean, their means of length 1 (n, D), the patches with a vector of each
    of all C, and of the held-out ones where the vector is and whose patch it is (h,)."""

    neurons: np.ndarray
    means: np.ndarray
    patches: np.ndarray
    held: np.ndarray
    owners: np.ndarray
    wanted: int


def _prepared(index: Index, layer: str, vectors: PatchVectors) -> _Prepared:
    tops = top_cells(index, layer, vectors.patches)
    places = vectors.find(np.asarray(index.images.id)[tops.rows], tops.cells)
    places[~tops.counts] = -1
    used, held = places[:, ::2], places[:, 1::2]
    means = np.zeros((len(places), vectors.vectors.shape[1]), np.float32)
    for rank in range(used.shape[1]):  # rank by rank, so that no array holds the vectors of all patches
        there = np.flatnonzero(used[:, rank] >= 0)
        means[there] += vectors.vectors[used[there, rank]]
    neurons = np.flatnonzero(means.any(axis=1))
    owners, ranks = np.nonzero(held >= 0)
    return _Prepared(
        neurons, unit(means[neurons]), (places >= 0).sum(axis=1), held[owners, ranks], owners, int(tops.counts.sum())
    )


def _checked(similarities: np.ndarray, known: _Prepared) -> tuple[np.ndarray, np.ndarray]:
    """The AUC of each neuron's held-out patches against all others', and its lower bound (C,); NaN where unknown."""
    count = np.bincount(known.owners, minlength=len(known.patches))
    aucs, bounds = np.full((2, len(count)), np.nan)
    some = np.flatnonzero(count)
    if len(some) < 2:
        return aucs, bounds
    code = np.zeros(len(count), np.int64)
    code[some] = np.arange(len(some))
    held = similarities[known.held]
    order = np.argsort(-held, kind="stable")
    aucs[some] = auc_by_class(held[order], code[known.owners[order]], count[some])
    bounds[some] = wilson_bound(aucs[some], np.minimum(count[some], len(held) - count[some]))
    aucs[count < LEAST_CHECKED] = np.nan
    return aucs, np.where(np.isnan(aucs), np.nan, bounds)


def _value(number: float) -> float | None:
    return None if np.isnan(number) else float(number)
