"""Quantiles of every location, and the masks that are cut at them, as dissection tools have them, re-stated.

A neuron's threshold is what 0.5 % of its activations at all locations of all images exceed. A mask is its map, scaled
up bilinearly to the size of the network's input, where it exceeds that.

1. `top_k_and_sketch`: baukit, one pass and a sketch.
2. `kept_quantiles`: NetDissect-Lite, which keeps every activation as float64 in mapped files and sorts it all.
3. `kept_masks`: its second pass, over the kept maps, but for those that reach no threshold.
4. `masks_again`: dissect.py's second pass, every image through the network once more, and every map.

No annotations are read and no masks are compared with them, which is most of what the originals do with a mask, so both
second passes are faster here than there.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.peers import KEPT, Run, highest
from benchmarks.sketch import Sketch

FRACTION = 0.005


def top_k_and_sketch(run: Run) -> tuple[torch.Tensor | None, np.ndarray]:
    """The highest peaks (k, C) and the thresholds (C,) by a sketch."""
    best, sketch = None, None
    for maps in run.maps():
        best = highest(best, maps)
        sketch = sketch or Sketch(maps.shape[1], device=maps.device)
        sketch.add(maps.permute(0, 2, 3, 1).flatten(0, 2))
    assert sketch is not None, "there are no images"
    return best, sketch.quantiles([1 - FRACTION])[:, 0]


@contextmanager
def _kept(run: Run) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All maps (N, C, H, W) and peaks (N, C), float64, in mapped files that are removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        count, kept, peaks = 0, None, None
        for maps in run.maps():
            if kept is None or peaks is None:
                shape = (len(run.files), *maps.shape[1:])
                kept = np.memmap(Path(folder) / "maps", float, "w+", shape=shape)
                peaks = np.memmap(Path(folder) / "peaks", float, "w+", shape=shape[:2])
            batch = maps.cpu().numpy()
            kept[count : count + len(batch)] = batch
            peaks[count : count + len(batch)] = batch.max(axis=(2, 3))
            count += len(batch)
        assert kept is not None, "there are no images"
        assert peaks is not None
        yield kept[:count], peaks[:count]


def _thresholds(kept: np.ndarray) -> np.ndarray:
    return np.percentile(kept, 100 * (1 - FRACTION), axis=(0, 2, 3))


def kept_quantiles(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """The highest peaks (k, C) and the thresholds (C,), exactly."""
    with _kept(run) as (kept, peaks):
        return np.sort(peaks, axis=0)[: -KEPT - 1 : -1], _thresholds(kept)


def kept_masks(run: Run) -> np.ndarray:
    """How many pixels the masks of each neuron (C,) have on all images together."""
    height, width = run.preprocessing.input_size
    with _kept(run) as (kept, peaks):
        thresholds = _thresholds(kept)
        pixels = np.zeros(len(thresholds), np.int64)
        for maps, highest_of in zip(kept, peaks, strict=True):
            for neuron in np.flatnonzero(highest_of > thresholds):
                small = Image.fromarray(maps[neuron].astype(np.float32))
                large = np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))
                pixels[neuron] += np.count_nonzero(large > thresholds[neuron])
    return pixels


def masks_again(run: Run) -> np.ndarray:
    """The same pixels, with thresholds from the sketch and the maps from a second pass."""
    thresholds = torch.from_numpy(top_k_and_sketch(run)[1]).to(run.device, torch.float32)[:, None, None]
    pixels = np.zeros(len(thresholds), np.int64)
    for batch in run.maps():
        for maps in batch:
            large = torch.nn.functional.interpolate(maps[None], run.preprocessing.input_size, mode="bilinear")[0]
            pixels += [np.count_nonzero(mask) for mask in (large > thresholds).cpu().numpy()]
    return pixels
