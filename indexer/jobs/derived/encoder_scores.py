"""Work out the scores of a layer's neurons in the vectors of an encoder, and keep them in its index."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from indexer.defaults import MOST_SCORE_PATCHES, SCORE_PATCHES
from indexer.derive.executor import runs
from indexer.derive.scores import measures
from indexer.derive.scores.encoder_file import without_images, write_encoder_scores
from indexer.derive.scores.file import Scores, key_of
from indexer.derive.scores.writing import Scored, measured
from indexer.describe.encoder import Checked, Encoder
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest
from indexer.index.score_recipe import EncoderRecipe
from indexer.jobs.bounds import check_number
from indexer.jobs.derived.encoding import Crops, encode
from indexer.jobs.derived.keeping import keep, shown_images
from indexer.query.index import Index
from indexer.query.layer import Layer
from indexer.store.storage import Location

_NEURONS_AT_ONCE: Final = 64
"""Of so many neurons the vectors are in memory together, and each image is decoded once."""


def make_encoder_scores(
    index: Index,
    layer: str,
    encoder: Encoder,
    *,
    patches: int = SCORE_PATCHES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """The scores of a layer's neurons: their top patches, cut out of the originals, in the vectors of an encoder.

    Parameters
    ----------
    encoder : Encoder
        Its ``encode_images`` gets the patches as pictures of any size.
    patches : int
        How many top patches of each neuron, of different images, 2 to 200. Only those with a positive peak count, and
        those whose originals are there.
    progress : callable
        Is told how many neurons are done, of how many.

    Raises
    ------
    NotFound, InvalidRequest, DamagedFile
    """
    check_number("patches", patches, 2, MOST_SCORE_PATCHES)
    of_layer, made = index.layer(layer), _Vectors(index, layer, Checked(encoder))
    rows, positive = _tops(of_layer, patches)
    parts: list[Scored] = []
    known = np.zeros(positive.shape, bool)
    for first, end in runs(len(rows), _NEURONS_AT_ONCE):
        block = slice(first, end)
        vectors, known[block] = made.of(np.arange(first, end), rows[block], positive[block])
        parts.append(measured(vectors, known[block], patches))
        progress(end, len(rows))
    columns = {
        name: np.concatenate([_wide(part, name, made.size) for part in parts]) for name in Scored.__annotations__
    }
    means, sums = columns.pop("means"), columns.pop("sums")
    nearest, redundancy = measures.redundancy(means, known.sum(axis=1) > 0)
    images = np.full((len(rows), patches), -1, np.int64)
    images[:, : rows.shape[1]] = np.where(known, np.asarray(index.images.id)[rows], -1)
    recipe = EncoderRecipe(
        encoder.name, encoder.digest, patches, len(index.images), index.generation, int((positive & ~known).sum())
    )
    between = measures.between(sums, known.sum(axis=1))
    return Scores(
        recipe=recipe, redundancy=redundancy, nearest=nearest, between=between, images=images, **columns
    )  # fmt: skip


def keep_encoder_scores(index: Location, layer: LayerInfo, scores: Scores) -> Manifest:
    """Publish a generation whose layer has these scores, in the place of those that it had, and is as it was otherwise.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """

    def write(manifest: Manifest) -> str:
        return write_encoder_scores(index, layer.name, without_images(scores, shown_images(index, manifest)))

    return keep(index, layout.ENCODER_SCORES, layer, write, partial(_without_scores, layer.name))


def _without_scores(layer: str, manifest: Manifest) -> Manifest:
    """The manifest without the scores that a layer has by another layer."""
    before = manifest.derived.get(key_of(layer))
    return replace(
        manifest,
        scores={name: recipe for name, recipe in manifest.scores.items() if name != layer},
        derived={key: file for key, file in manifest.derived.items() if key != key_of(layer)},
        checksums={file: sha256 for file, sha256 in manifest.checksums.items() if file != before},
    )


def _tops(layer: Layer, patches: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows (C, p) of the image table with the highest peaks of each neuron, and whether these are positive."""
    with layer.reading():
        rows = np.asarray(layer.order[:, :patches]).astype(np.int64)
        return rows, np.take_along_axis(layer.peaks, rows, axis=1) > 0


def _wide(part: Scored, name: str, size: int) -> np.ndarray:
    """A field of some neurons, with as many columns as vectors have numbers where no neuron had a patch."""
    values: np.ndarray = getattr(part, name)
    return np.zeros((len(values), size), np.float32) if name in ("means", "sums") and not values.size else values


class _Vectors:
    """Makes vectors of patches; ``size`` is how many numbers one has, once one was made."""

    def __init__(self, index: Index, layer: str, encoder: Checked) -> None:
        self._layer, self._encoder, self._crops = index.layer(layer), encoder, Crops(index, layer)
        self.size = 0

    def of(self, neurons: np.ndarray, rows: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors (n, p, D) float32 of the peaks of neurons (n,) on images (n, p), and which (n, p) were made."""
        with self._layer.reading():
            cells = np.asarray(self._layer.peak_cells[neurons[:, None], rows]).astype(np.int64)
        at = np.argwhere(wanted)
        pairs = np.stack([rows[wanted], cells[wanted]], axis=1).reshape(-1, 2)
        patches, which = np.unique(pairs, axis=0, return_inverse=True)
        made, numbers = encode(self._encoder, self._crops, patches[:, 0], patches[:, 1])
        if len(made):
            self.size = made.shape[1]
        places = np.full(len(patches), -1)
        places[numbers] = np.arange(len(numbers))
        vectors = np.zeros((*rows.shape, self.size), np.float32)
        known = np.zeros(rows.shape, bool)
        for (neuron, rank), place in zip(at.tolist(), places[which.reshape(-1)].tolist(), strict=True):
            if place >= 0:
                vectors[neuron, rank], known[neuron, rank] = made[place], True
        return vectors, known
