"""Make the atlas of a layer, and keep it in its index."""

from collections.abc import Callable
from typing import Final

import numpy as np

from indexer.atlas.fitting import Placing, check_enough, scaled
from indexer.atlas.laying_out import LaidOut, laid_out
from indexer.atlas.points import Points, choose
from indexer.defaults import ATLAS_FITTED, ATLAS_PERPLEXITY, ATLAS_POINTS, MOST_ATLAS_FITTED, MOST_ATLAS_POINTS
from indexer.derive.carried.atlas import Atlas, Recipe, write_atlas
from indexer.derive.unit import unit
from indexer.errors import InvalidRequest
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.index.manifest import Manifest
from indexer.jobs.bounds import MOST_SEED, check_number
from indexer.jobs.derived.keeping import keep, shown_images
from indexer.query.cells import vectors_at
from indexer.query.index import Index
from indexer.store.storage import Location

_BLOCK: Final = 1 << 26
"""Bytes of vectors that are placed at a time."""
_MOST_BYTES: Final = 1 << 30


def make_atlas(
    index: Index,
    layer: str,
    *,
    points: int = ATLAS_POINTS,
    fitted: int = ATLAS_FITTED,
    perplexity: int = ATLAS_PERPLEXITY,
    seed: int = 0,
    report: Callable[[str], None] = lambda stage: None,
) -> Atlas:
    """Lay cells of a layer out in two dimensions, those with alike vectors next to each other.

    The network does not run. Memory holds the vectors of the fitted cells, and of a block of the others.

    Parameters
    ----------
    points : int
        How many cells to draw, as many of each image, 10 to 1,000,000; all if there are fewer.
    fitted : int
        How many of these t-SNE lays out, 10 to 100,000; their nearest neighbours place the others.
    perplexity : int
        That of t-SNE, 2 to 500: about how many neighbours count.
    seed : int
        Decides which cells are drawn. The same seed gives the same atlas.

    Raises
    ------
    NotFound, InvalidRequest, DamagedFile
    """
    info = index.layer(layer).info
    check_number("points", points, 10, MOST_ATLAS_POINTS)
    check_number("fitted", fitted, 10, MOST_ATLAS_FITTED)
    check_number("perplexity", perplexity, 2, 500)
    check_number("seed", seed, 0, MOST_SEED)
    if 4 * info.channels * min(fitted, points) > _MOST_BYTES:
        most = _MOST_BYTES // (4 * info.channels)
        raise InvalidRequest(f"fitted must be at most {most} for the {info.channels} neurons of {layer}, not {fitted}")
    rng = np.random.default_rng(seed)
    report("drawing cells")
    drawn = choose(len(index.images), info.cells, points, rng)
    first = np.zeros(len(drawn), bool)
    first[rng.permutation(len(drawn))[:fitted]] = True
    highest = np.asarray(index.neuron_statistics(layer)["maximum"])
    report(f"laying out {first.sum()} cells")
    parts = [_Part.read(index, layer, drawn[first], highest)]
    base = parts[0]
    check_enough(len(base.units), "cells that are not all 0")
    fit = laid_out(base.units, perplexity, rng)
    placing, layouts = Placing(base.units, fit.places), [fit.places]
    others, size = drawn[~first], max(1, _BLOCK // (4 * info.channels))
    for start in range(0, len(others), size):
        report(f"placing {len(others)} further cells")
        part = _Part.read(index, layer, others[start : start + size], highest)
        layouts.append(placing.place(part.units))
        parts.append(part.without_vectors())
    recipe = Recipe(len(index.images), index.generation, seed, fit.perplexity, fit.compared, fit.neighbours)
    return _put_together(index, parts, layouts, rng, recipe, fit)


def keep_atlas(index: Location, layer: LayerInfo, atlas: Atlas) -> Manifest:
    """Publish a generation whose layer has this atlas, and which is as it was otherwise.

    Points of images that were removed meanwhile are left out.

    Raises
    ------
    NotAnIndex, IndexBusy, DamagedFile
    InvalidRequest
        The layer was dropped meanwhile, or is another now.
    """

    def write(manifest: Manifest) -> str:
        return write_atlas(index, layer.name, atlas.of_images(shown_images(index, manifest)))

    return keep(index, layout.ATLASES, layer, write)


class _Part:
    """Cells that are not all 0, with their vectors of length 1 and the neuron that is most active for its measure."""

    def __init__(self, points: Points, units: np.ndarray, neurons: np.ndarray) -> None:
        self.points, self.units, self.neurons = points, units, neurons

    @classmethod
    def read(cls, index: Index, layer: str, points: Points, highest: np.ndarray) -> "_Part":
        vectors = vectors_at(index, layer, points.rows, points.cells)
        some = np.flatnonzero(vectors.any(axis=1))
        points, vectors = points[some], vectors[some]
        shares = np.divide(vectors, highest, out=np.zeros_like(vectors), where=highest > 0)
        neurons = np.where(shares.max(axis=1, initial=0) > 0, shares.argmax(axis=1), -1) if len(shares) else np.empty(0)
        return cls(points, unit(vectors), neurons.astype(np.int32))

    def without_vectors(self) -> "_Part":
        return _Part(self.points, np.empty((0, self.units.shape[1]), np.float32), self.neurons)


def _put_together(
    index: Index,
    parts: list[_Part],
    layouts: list[np.ndarray],
    rng: np.random.Generator,
    recipe: Recipe,
    fit: LaidOut,
) -> Atlas:
    """All points in an order by lot, the longer side of the layout from 0 to 1."""
    layout = scaled(np.concatenate(layouts))
    rows, cells = (np.concatenate([getattr(part.points, name) for part in parts]) for name in ("rows", "cells"))
    fitted = np.arange(len(rows)) < len(layouts[0])
    order = rng.permutation(len(rows))
    return Atlas(
        images=np.asarray(index.images.id[rows[order]]),
        cells=cells[order].astype(np.uint32),
        layout=layout[order].astype(np.float32),
        neurons=np.concatenate([part.neurons for part in parts])[order],
        fitted=fitted[order].astype(np.uint8),
        recipe=recipe,
        kept=fit.kept,
        kept_by_pca=fit.kept_by_pca,
    )
