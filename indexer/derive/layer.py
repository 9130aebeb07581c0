"""The derived file of a layer, from which questions about its neurons are answered.

::

    peaks (C, N) float32, peak_cells (C, N) uint32     a row for each neuron, a column for each image of the image table
    peaks_by_image (N, C) float32                      the same peaks, a row for each image
    order (C, N) uint32                                images by descending peak, then by id
    highest/activations (C, H * W, D) float16, highest/rows (C, H * W, D) uint16 or uint32
                                                       D images for each cell, see `indexer.derive.highest`
    histogram/codes (M,) uint16, histogram/ends (C,) int64, histogram/cumulative (M,) uint32 or uint64
                                                       see `indexer.derive.distribution.Distribution`
    statistics/NAME (C,)                               see `STATISTICS`
    class_means (K, C) float32                         mean peak by class
    classes/NAME                                       the other fields of `indexer.derive.selectivity.Selectivity`
"""

from pathlib import Path

import h5py
import numpy as np

from indexer.derive.distribution import DEFAULT_FRACTION, FRACTIONS, Distribution
from indexer.derive.executor import Executor, runs
from indexer.derive.highest import highest
from indexer.derive.neurons import NeuronBlock, block_of, histogram_of
from indexer.derive.selectivity import Selectivity, Tally
from indexer.derive.sources import Sources, opened
from indexer.index import hdf5
from indexer.index.configuration import LayerInfo
from indexer.shards.counting import Counter

KIND = "unitscope layer"
VERSION = 3
STATISTICS = {
    "maximum": "highest activation",
    "mean": "mean activation",
    "std": "standard deviation of the activations",
    "positive_cells": "share of cells with a positive activation, as it is kept",
    "positive_images": "share of images with such a cell",
    "firing_cells": "share of cells on which the neuron fires",
    "firing_images": "share of images on which the neuron fires",
    **{name: f"threshold above which {share:.1%} of the activations lie" for name, share in FRACTIONS.items()},
}
BLOCK_BYTES = 1 << 26
BLOCK_NEURONS = 64
"""Most bytes of peaks, and most neurons, of one piece of work."""
RUN_SHARDS = 64
"""Most shards whose histograms are merged by one piece of work."""
CLASS_ARRAYS = ("images", "firing", "auc", "index", "entropy")


def write_layer(path: Path, layer: LayerInfo, sources: Sources, executor: Executor) -> None:
    """Derive a layer's file from its shards.

    Parameters
    ----------
    path : Path
    layer : LayerInfo
    sources : Sources
    executor : Executor
        Runs the parts. The file is the same, byte for byte, whichever executor runs them.
    """
    images = opened(sources).images
    distribution = _distribution(layer, sources, executor)
    firing_from = distribution.firing_from(DEFAULT_FRACTION) if distribution.size else np.zeros(layer.channels)
    size = min(BLOCK_NEURONS, max(1, BLOCK_BYTES // (4 * max(1, images))))
    tasks = [(sources, layer, first, firing_from[first:end]) for first, end in runs(layer.channels, size)]
    with hdf5.create_file(path, KIND, VERSION) as file:
        for name, kind in (("peaks", np.float32), ("peak_cells", np.uint32), ("order", np.uint32)):
            file.create_dataset(name, (layer.channels, images), kind)
        statistics = {name: np.zeros(layer.channels) for name in ("maximum", "positive_images", "firing_images")}
        selectivity: dict[int, Selectivity] = {}
        for _, block in executor.run(block_of, tasks if images else []):
            _write_block(file, block, statistics)
            selectivity[block.first] = block.selectivity
        _write_by_image(file.create_dataset("peaks_by_image", (images, layer.channels), np.float32), layer, sources)
        _write_highest(file, layer, sources, executor)
        _write_selectivity(file, _joined(layer.channels, selectivity))
        for name in ("codes", "ends", "cumulative"):
            file.create_dataset(f"histogram/{name}", data=getattr(distribution, name))
        for name, values in {**statistics, **_of_distribution(distribution, firing_from)}.items():
            file.create_dataset(f"statistics/{name}", data=np.asarray(values, np.float64))


def _distribution(layer: LayerInfo, sources: Sources, executor: Executor) -> Distribution:
    counted = Counter(layer.channels)
    for _, part in executor.run(
        histogram_of, [(sources, layer, *run) for run in runs(len(sources.shards), RUN_SHARDS)]
    ):
        counted.merge(part)
    return Distribution.of(counted.histogram())


def _write_block(file: h5py.File, block: NeuronBlock, statistics: dict[str, np.ndarray]) -> None:
    # HDF5 allocates a dataset when it is first written. This order is the same whichever block comes first, and so the
    # file is the same.
    neurons = slice(block.first, block.first + len(block.peaks))
    for name in ("peaks", "peak_cells", "order"):
        file[name][neurons] = getattr(block, name)
    for name, values in block.statistics.items():
        statistics[name][neurons] = values


def _write_by_image(dataset: h5py.Dataset, layer: LayerInfo, sources: Sources) -> None:
    """Write the peaks image by image: read from ``peaks``, those of one image would touch a page for each neuron."""
    for shard, rows, start in opened(sources).live(0, len(sources.shards)):
        dataset[start : start + len(rows)] = shard.peaks(layer.name)[0].T[rows]


def _write_highest(file: h5py.File, layer: LayerInfo, sources: Sources, executor: Executor) -> None:
    found = highest(layer, sources, executor)
    if found is None:
        return
    shape = (layer.channels, layer.cells, -1)
    rows = found.rows.astype(np.uint16 if opened(sources).images <= 1 << 16 else np.uint32)
    file.create_dataset("highest/activations", data=found.activations.reshape(shape))
    file.create_dataset("highest/rows", data=rows.reshape(shape))


def _joined(channels: int, parts: dict[int, Selectivity]) -> Selectivity:
    if not parts:
        return Tally(channels, np.empty(0, np.int32)).selectivity()
    return Selectivity.joined([parts[first] for first in sorted(parts)])


def _write_selectivity(file: h5py.File, selectivity: Selectivity) -> None:
    file.create_dataset("class_means", data=selectivity.means)
    for name in CLASS_ARRAYS:
        file.create_dataset(f"classes/{name}", data=getattr(selectivity, name))


def _of_distribution(distribution: Distribution, firing_from: np.ndarray) -> dict[str, np.ndarray]:
    neurons = np.arange(distribution.channels)
    if not distribution.size:
        nothing = np.zeros(distribution.channels)
        return dict.fromkeys(("mean", "std", "positive_cells", "firing_cells", *FRACTIONS), nothing)
    mean, std = distribution.moments()
    smallest = np.full(distribution.channels, np.finfo(np.float16).smallest_subnormal)
    return {
        "mean": mean,
        "std": std,
        # Subtract counts, not shares: 1 - 0.864 differs from 0.136 in the last digits.
        "positive_cells": (distribution.size - distribution.below(neurons, smallest)) / distribution.size,
        "firing_cells": (distribution.size - distribution.below(neurons, firing_from)) / distribution.size,
        **{name: distribution.thresholds(fraction) for name, fraction in FRACTIONS.items()},
    }
