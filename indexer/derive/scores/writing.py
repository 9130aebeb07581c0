"""From kept maps to the scores of a layer's neurons."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from indexer.derive.executor import Executor, in_order, runs
from indexer.derive.layer import KIND as LAYER_KIND
from indexer.derive.layer import VERSION as LAYER_VERSION
from indexer.derive.scores import measures
from indexer.derive.scores.file import Scores, write_file
from indexer.derive.scores.vectors import PatchVectors
from indexer.derive.sources import Sources, opened
from indexer.derive.unit import unit
from indexer.index import hdf5
from indexer.index.configuration import LayerInfo
from indexer.index.score_recipe import ScoreRecipe
from indexer.shards.format import LEAST_POSITIVE

BLOCK_BYTES = 1 << 26
"""Most bytes of the vectors of one piece of work."""


@dataclass(frozen=True)
class Tops:
    """Top patches of some neurons.

    Attributes
    ----------
    rows, cells : ndarray (n, P)
        Rows of the image table and cells, by descending peak, of different images.
    counts : ndarray (n,)
        How many of them are positive; the others do not count.
    """

    rows: np.ndarray
    cells: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True)
class Scored:
    """What a piece of work finds of n neurons: fields of `Scores`, means (n, D) and sums (n, D) of unit vectors."""

    clarity: np.ndarray
    polysemanticity: np.ndarray
    groups: np.ndarray
    group_clarity: np.ndarray
    means: np.ndarray
    sums: np.ndarray


def write_scores(
    path: Path, derived: Path, layer: LayerInfo, recipe: ScoreRecipe, sources: Sources, executor: Executor
) -> None:
    """Work out the scores of a layer's neurons and write them.

    Parameters
    ----------
    derived : Path
        The layer's derived file.
    recipe : ScoreRecipe
        Of another layer of ``sources``.
    executor : Executor
        Runs the parts. Memory holds a vector of each neuron, and in each part vectors of `BLOCK_BYTES`.
    """
    by = next(info for info in sources.configuration.layers if info.name == recipe.by)
    tops = _tops(derived, layer, recipe.patches)
    size = max(1, BLOCK_BYTES // (4 * recipe.patches * by.channels))
    tasks = [
        (sources, layer, by, recipe, Tops(tops.rows[first:end], tops.cells[first:end], tops.counts[first:end]))
        for first, end in runs(layer.channels, size)
    ]
    parts: list[Scored] = list(in_order(executor.run(scored, tasks)))
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Scored.__annotations__}
    means, sums = columns.pop("means"), columns.pop("sums")
    nearest, redundancy = measures.redundancy(means, tops.counts > 0)
    between = measures.between(sums, tops.counts)
    write_file(path, Scores(recipe=recipe, redundancy=redundancy, nearest=nearest, between=between, **columns))


def _tops(derived: Path, layer: LayerInfo, patches: int) -> Tops:
    arrays = hdf5.map_arrays(derived, derived.name, LAYER_KIND, LAYER_VERSION)
    rows = np.asarray(arrays["order"][:, :patches]).astype(np.int64)
    peaks, cells = (np.take_along_axis(arrays[name], rows, axis=1) for name in ("peaks", "peak_cells"))
    return Tops(rows, cells.astype(np.int64), (peaks >= LEAST_POSITIVE).sum(axis=1))


def scored(sources: Sources, layer: LayerInfo, by: LayerInfo, recipe: ScoreRecipe, tops: Tops) -> Scored:
    """The scores of some neurons of a layer."""
    known = np.arange(tops.rows.shape[1]) < tops.counts[:, None]
    return measured(_vectors(sources, layer, by, recipe, tops), known, recipe.patches)


def measured(vectors: np.ndarray, known: np.ndarray, patches: int) -> Scored:
    """The scores of n neurons.

    Parameters
    ----------
    vectors : ndarray (n, p, D) float32
        Of top patches, by descending peak.
    known : ndarray (n, p) bool
        Which of them count.
    patches : int
        How many patches a neuron should have, p or more.
    """
    neurons, _, size = vectors.shape
    nothing = np.full(neurons, np.nan)
    found = Scored(
        nothing.copy(), nothing.copy(), np.full((neurons, patches), -1, np.int8),
        np.full((neurons, measures.GROUPS), np.nan), np.zeros((neurons, size), np.float32),
        np.zeros((neurons, size), np.float32),
    )  # fmt: skip
    for number, count in enumerate(known.sum(axis=1).tolist()):
        if not count:
            continue
        ranks = np.flatnonzero(known[number])
        own = vectors[number, ranks]
        groups = measures.split(own)
        found.groups[number, ranks] = groups
        found.clarity[number] = measures.clarity(own)
        found.polysemanticity[number] = measures.polysemanticity(own, groups)
        found.group_clarity[number] = [measures.clarity(own[groups == group]) for group in range(measures.GROUPS)]
        found.means[number] = own.mean(axis=0, dtype=np.float64)
        found.sums[number] = unit(own.astype(np.float64)).sum(axis=0)
    return found


def _vectors(sources: Sources, layer: LayerInfo, by: LayerInfo, recipe: ScoreRecipe, tops: Tops) -> np.ndarray:
    """Vectors (n, P, D) float32 of patches; those that do not count are 0. Each image is read once."""
    make = PatchVectors(layer, by, recipe.pool, sources.configuration.preprocessing.input_size)
    vectors = np.zeros((*tops.rows.shape, by.channels), np.float32)
    counts = np.arange(tops.rows.shape[1]) < tops.counts[:, None]
    neurons, ranks = np.nonzero(counts)
    rows = tops.rows[neurons, ranks]
    order = np.argsort(rows, kind="stable")
    starts = np.flatnonzero(np.diff(rows[order], prepend=-1))
    for wanted in np.split(order, starts[1:]) if len(order) else []:
        maps = opened(sources).maps(by.name, int(rows[wanted[0]]))
        for one in wanted.tolist():
            cell = int(tops.cells[neurons[one], ranks[one]])
            vectors[neurons[one], ranks[one]] = make.of(maps, cell)
    return vectors
