"""The derived file of a layer: what questions about its neurons are answered from.

::

    peaks (C, N) float32, peak_cells (C, N) uint32     one row a neuron, one column an image of the image table
    order (C, N) uint32                                images by descending peak, then by id
    histogram/keys (M,) uint32, histogram/cumulative (M,) int64
    statistics/NAME (C,)                               see `STATISTICS`
    class_means (K, C) float32                         mean peak by class
    classes/NAME                                       the other fields of `indexer.derive.selectivity.Selectivity`
"""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from indexer.derive.distribution import DEFAULT_FRACTION, FRACTIONS, Distribution
from indexer.derive.images import LiveRows
from indexer.derive.selectivity import Selectivity, Tally
from indexer.shards.counting import Counter
from indexer.shards.format import as_kept
from indexer.shards.reader import Shard
from indexer.store import mapped
from indexer.store.manifest import LayerInfo

KIND = "unitscope layer"
VERSION = 1
STATISTICS = {
    "maximum": "highest activation",
    "mean": "mean activation",
    "std": "standard deviation of the activations",
    "positive_cells": "share of cells with a positive activation",
    "positive_images": "share of images with a positive activation",
    "firing_cells": "share of cells on which the neuron fires",
    "firing_images": "share of images on which the neuron fires",
    **{name: f"threshold above which {share:.1%} of the activations lie" for name, share in FRACTIONS.items()},
}
_BLOCK_BYTES = 1 << 25
CLASS_ARRAYS = ("images", "firing", "auc", "index", "entropy")


def write_layer(
    path: Path, layer: LayerInfo, shards: Sequence[Shard], live: Sequence[LiveRows], classes: np.ndarray
) -> None:
    """Derive a layer's file from its shards.

    Parameters
    ----------
    path : Path
    layer : LayerInfo
    shards : sequence of Shard
    live : sequence of LiveRows
        As `indexer.derive.images.write_image_table` gave it.
    classes : ndarray (N,) int32
        Class of each image of the table, -1 for none.
    """
    images = live[-1].end if live else 0
    with h5py.File(path, "w", libver="latest") as file:
        mapped.mark(file, KIND, VERSION)
        peaks = file.create_dataset("peaks", (layer.channels, images), np.float32)
        cells = file.create_dataset("peak_cells", (layer.channels, images), np.uint32)
        counted, gone = Counter(layer.channels), Counter(layer.channels)
        for part in live:
            shard = shards[part.shard]
            shard_peaks, shard_cells = shard.peaks(layer.name)
            peaks[:, part.start : part.end] = shard_peaks[:, part.rows]
            cells[:, part.start : part.end] = shard_cells[:, part.rows]
            counted.merge(shard.histogram(layer.name))
            for row in np.setdiff1d(np.arange(shard.rows), part.rows).tolist():
                gone.add(shard.maps(layer.name, row)[None])
        distribution = Distribution.of(counted.histogram().subtract(gone.histogram()))
        file.create_dataset("histogram/keys", data=distribution.keys)
        file.create_dataset("histogram/cumulative", data=distribution.cumulative)
        _write_by_neuron(file, peaks, distribution, classes)


def _write_by_neuron(file: h5py.File, peaks: h5py.Dataset, distribution: Distribution, classes: np.ndarray) -> None:
    channels, images = peaks.shape
    order = file.create_dataset("order", (channels, images), np.uint32)
    firing_from = distribution.firing_from(DEFAULT_FRACTION) if distribution.size else np.zeros(channels)
    statistics = {name: np.zeros(channels) for name in ("maximum", "positive_images", "firing_images")}
    tally = Tally(channels, classes)
    block = max(1, _BLOCK_BYTES // max(1, peaks.dtype.itemsize * images))
    for first in range(0, channels if images else 0, block):
        rows = peaks[first : first + block]
        orders = np.empty(rows.shape, np.uint32)
        for neuron, (row, descending) in enumerate(zip(rows, orders, strict=True), first):
            descending[:] = np.argsort(-row, kind="stable")
            fires = as_kept(row) >= firing_from[neuron]  # thresholds are float16, so the peak is compared as it is kept
            statistics["maximum"][neuron] = row[descending[0]]
            statistics["positive_images"][neuron] = np.mean(row > 0)
            statistics["firing_images"][neuron] = np.mean(fires)
            tally.add(neuron, row, descending, fires)
        order[first : first + block] = orders
    _write_selectivity(file, tally.selectivity())
    for name, values in {**statistics, **_of_distribution(distribution, firing_from)}.items():
        file.create_dataset(f"statistics/{name}", data=np.asarray(values, np.float64))


def _write_selectivity(file: h5py.File, found: Selectivity) -> None:
    file.create_dataset("class_means", data=found.means)
    for name in CLASS_ARRAYS:
        file.create_dataset(f"classes/{name}", data=getattr(found, name))


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
        "positive_cells": 1 - distribution.below(neurons, smallest) / distribution.size,
        "firing_cells": 1 - distribution.below(neurons, firing_from) / distribution.size,
        **{name: distribution.thresholds(fraction) for name, fraction in FRACTIONS.items()},
    }
