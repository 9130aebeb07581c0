"""What others do to know the top ten of every neuron, re-stated slowly and obviously.

baukit (``tally_topk`` over ``nethook``) and NetDissect (a hook, then the highest of each map) run every image through
the whole network in contiguous memory and keep k values a neuron; captum's ``AV`` keeps raw float32 in files.
"""

import itertools
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn

from indexer.images.listing import ImageFile
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.decode import Decoded, decode_ahead

BATCH = 32
KEPT = 10


def inputs(root: Path, files: list[ImageFile], preprocessing: Preprocessing) -> Iterator[torch.Tensor]:
    """Batches of network input (B, 3, h, w) float32, decoded ahead on two threads as a data loader would."""
    with ThreadPoolExecutor(2) as pool:
        decoded = decode_ahead(root, enumerate(files), preprocessing, False, pool, 2 * BATCH)
        usable = (result.pixels for result in decoded if isinstance(result, Decoded))
        while batch := list(itertools.islice(usable, BATCH)):
            pixels = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2).contiguous()
            yield preprocessing.normalise(pixels)


def top_k_only(root: Path, files: list[ImageFile], model: nn.Module, layer: str, preprocessing: Preprocessing) -> None:
    """The k images with the highest peaks of each neuron, and nothing else."""
    kept: list[torch.Tensor] = []
    best: torch.Tensor | None = None
    handle = model.get_submodule(layer).register_forward_hook(lambda module, given, output: kept.append(output.clone()))
    with torch.inference_mode():
        for batch in inputs(root, files, preprocessing):
            model(batch)
            peaks = kept.pop().flatten(2).amax(2)
            peaks = peaks if best is None else torch.cat([best, peaks])
            best = peaks.topk(min(KEPT, len(peaks)), dim=0).values
    handle.remove()


def captum_av(root: Path, files: list[ImageFile], model: nn.Module, layer: str, preprocessing: Preprocessing) -> int:
    """captum's own AV; the bytes that it keeps."""
    from captum._utils.av import AV  # here, because captum is an extra

    with tempfile.TemporaryDirectory() as folder:
        batches = ((batch,) for batch in inputs(root, files, preprocessing))
        AV.generate_dataset_activations(folder, model, "model", [layer], batches, "all")
        return sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
