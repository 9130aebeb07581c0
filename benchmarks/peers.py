"""What others do to know the top ten of every neuron, re-stated slowly and obviously.

baukit (``tally_topk`` over ``nethook``) and NetDissect (a hook, then the highest of each map) run every image through
the whole network in contiguous memory and keep k values a neuron; captum's ``AV`` keeps raw float32 in files. What they
do for quantiles and masks is in `benchmarks.dissection`. The names of the images that the values belong to are not
kept here, which is a little faster than the originals.
"""

import itertools
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.pipeline.decode import Decoded, decode_ahead

BATCH = 32
KEPT = 10


@dataclass(frozen=True)
class Run:
    """Images to be sent through a whole network, and the layer whose maps are looked at."""

    root: Path
    files: list[ImageFile]
    model: nn.Module
    layer: str
    preprocessing: Preprocessing
    device: torch.device

    def inputs(self) -> Iterator[torch.Tensor]:
        """Batches of network input (B, 3, h, w) float32, decoded ahead on two threads as a data loader would."""
        with ThreadPoolExecutor(2) as pool:
            decoded = decode_ahead(self.root, enumerate(self.files), self.preprocessing, False, pool, 2 * BATCH)
            usable = (result.pixels for result in decoded if isinstance(result, Decoded))
            while batch := list(itertools.islice(usable, BATCH)):
                pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).contiguous()
                yield self.preprocessing.normalise(pixels.to(self.device))

    def maps(self) -> Iterator[torch.Tensor]:
        """The layer's maps (B, C, H, W) of each batch; the network runs to its end."""
        kept: list[torch.Tensor] = []
        layer = self.model.get_submodule(self.layer)
        handle = layer.register_forward_hook(lambda module, given, output: kept.append(output.clone()))
        try:
            with torch.inference_mode():
                for batch in self.inputs():
                    self.model(batch)
                    yield kept.pop()
        finally:
            handle.remove()


def highest(best: torch.Tensor | None, maps: torch.Tensor) -> torch.Tensor:
    """The highest peaks (k, C) so far, after these maps as well."""
    peaks = maps.flatten(2).amax(2)
    together = peaks if best is None else torch.cat([best, peaks])
    return together.topk(min(KEPT, len(together)), dim=0).values


def top_k(run: Run) -> torch.Tensor | None:
    """The highest peaks (k, C) of each neuron, one an image, and nothing else."""
    best = None
    for maps in run.maps():
        best = highest(best, maps)
    return best


def captum_av(run: Run) -> int:
    """captum's own AV; the bytes that it keeps."""
    from captum._utils.av import AV  # here, because captum is an extra

    with tempfile.TemporaryDirectory() as folder:
        batches = ((batch,) for batch in run.inputs())
        AV.generate_dataset_activations(folder, run.model, "model", [run.layer], batches, "all")
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
