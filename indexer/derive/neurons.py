"""The parts of a layer's derived file: histograms of runs of shards, and the arrays by neuron in blocks of neurons."""

from dataclasses import dataclass

import numpy as np

from indexer.derive.executor import runs
from indexer.derive.selectivity import Selectivity, Tally
from indexer.derive.sources import Sources, opened
from indexer.index.configuration import LayerInfo
from indexer.shards.counting import Counter
from indexer.shards.format import LEAST_POSITIVE, as_kept
from indexer.shards.histogram import Histogram
from indexer.system.threads import in_threads

_PORTION, _PORTION_BYTES = 16, 1 << 22


@dataclass(frozen=True)
class NeuronBlock:
    """The derived arrays of c neurons, from neuron ``first`` on, over N images.

    Attributes
    ----------
    peaks : ndarray (c, N) float32
    peak_cells : ndarray (c, N) uint32
    order : ndarray (c, N) uint32
        Images by descending peak, then by id.
    statistics : dict of str to ndarray (c,) float64
    selectivity : Selectivity
    """

    first: int
    peaks: np.ndarray
    peak_cells: np.ndarray
    order: np.ndarray
    statistics: dict[str, np.ndarray]
    selectivity: Selectivity


def histogram_of(sources: Sources, layer: LayerInfo, first: int, end: int) -> Histogram:
    """The histogram over those images of shards ``first`` to ``end`` that are not removed."""
    from indexer.shards.maps.packer import packed  # here, because reading derived files needs no compiled loops

    counted, removed = Counter(layer.channels), Counter(layer.channels)
    for shard, rows, _ in opened(sources).live(first, end):
        counted.merge(shard.histogram(layer.name))
        for row in np.setdiff1d(np.arange(shard.rows), rows).tolist():
            removed.count([packed(shard.maps(layer.name, row))])
    return counted.histogram().subtract(removed.histogram())


def block_of(sources: Sources, layer: LayerInfo, first: int, firing_from: np.ndarray) -> NeuronBlock:
    """The block of neurons from ``first`` on. ``firing_from`` (c,) holds the activation at which each of them fires."""
    inputs = opened(sources)
    peaks, cells, order = (np.empty((len(firing_from), inputs.images), kind) for kind in (np.float32, *[np.uint32] * 2))
    for shard, rows, start in inputs.live(0, len(sources.shards)):
        part = slice(start, start + len(rows))
        shard_peaks, shard_cells = shard.peaks(layer.name, slice(first, first + len(firing_from)))
        columns = slice(None) if len(rows) == shard.rows else rows
        peaks[:, part], cells[:, part] = shard_peaks[:, columns], shard_cells[:, columns]
    statistics = {name: np.zeros(len(peaks)) for name in ("maximum", "positive_images", "firing_images")}
    tally = Tally(len(peaks), inputs.classes)

    def derive(neurons: slice) -> None:
        own_peaks = peaks[neurons]
        order[neurons] = np.argsort(-own_peaks, axis=1, kind="stable")
        fires = as_kept(own_peaks) >= firing_from[neurons, None]  # thresholds are float16, so peaks are rounded too
        statistics["maximum"][neurons] = np.take_along_axis(own_peaks, order[neurons, :1], axis=1)[:, 0]
        statistics["positive_images"][neurons] = np.mean(own_peaks >= LEAST_POSITIVE, axis=1)
        statistics["firing_images"][neurons] = np.mean(fires, axis=1)
        for neuron in range(len(own_peaks)):
            tally.add(neurons.start + neuron, own_peaks[neuron], order[neurons.start + neuron], fires[neuron])

    # Several neurons at once: Python code that runs for each neuron makes threads wait for the interpreter's lock.
    portion = max(1, min(_PORTION, _PORTION_BYTES // (8 * max(1, inputs.images))))
    for _ in in_threads(derive, [[slice(*run) for run in runs(len(peaks), portion)]]):
        pass
    return NeuronBlock(first, peaks, cells, order, statistics, tally.selectivity())
