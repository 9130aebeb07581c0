"""Tools that find what a neuron fires for, from their own packages, on the same images and layer.

python -m benchmarks.packages --images DIR [--limit N] [--out FILE]

Both run the whole network and keep the highest images of every neuron: zennit-crp by activation and by relevance (which
it computes backward from the output), semanticlens by activation. ``pip install unitscope[bench]`` brings them.
"""

import argparse
import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import Dataset

from benchmarks.indexing import Case, Measured
from benchmarks.measure import Row, heading, in_turn, write
from indexer.images.listing import ImageFile, list_images
from indexer.images.preprocessing import Preprocessing
from indexer.jobs.pipeline.decode import Decoded, decode
from indexer.network.models import load_model

BATCH = 32
KEPT = 10
CASE = Case("alexnet", "features.12")


class Photos(Dataset):
    """Images as network input (3, h, w) float32, decoded when asked for, with a class that is always 0."""

    name = "photos"

    def __init__(self, root: Path, files: list[ImageFile], preprocessing: Preprocessing) -> None:
        self._root = root
        self._files = files
        self._preprocessing = preprocessing

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        decoded = decode(self._root, number, self._files[number], self._preprocessing, False)
        assert isinstance(decoded, Decoded)
        pixels = torch.from_numpy(decoded.pixels).permute(2, 0, 1)[None].contiguous()
        return self._preprocessing.normalise(pixels)[0], 0


def zennit_crp(photos: Photos, model: nn.Module, layer: str, relevance: bool) -> None:
    """zennit-crp's FeatureVisualization; without rules for relevance its backward pass is a plain gradient."""
    from crp.attribution import CondAttribution  # here, because it is an extra
    from crp.concepts import ChannelConcept
    from crp.visualization import FeatureVisualization
    from zennit.composites import EpsilonPlusFlat

    with tempfile.TemporaryDirectory() as folder:
        found = FeatureVisualization(CondAttribution(model), photos, {layer: ChannelConcept()}, path=folder)
        found.run(EpsilonPlusFlat() if relevance else None, 0, len(photos), BATCH)


def semanticlens(photos: Photos, model: nn.Module, layer: str) -> None:
    """semanticlens's ActivationComponentVisualizer, by the highest of each map."""
    from semanticlens.component_visualization import ActivationComponentVisualizer  # here, because it is an extra
    from semanticlens.component_visualization.aggregators import aggregate_conv_max

    found = ActivationComponentVisualizer(model, photos, photos, [layer], KEPT, aggregate_fn=aggregate_conv_max)
    found.run(batch_size=BATCH)


def ways(photos: Photos, layer: str) -> dict[str, Callable[[], None]]:
    """What is measured, by name; each with a network of its own, as hooks stay behind."""
    model = load_model(CASE.model, "none").module
    lens = load_model(CASE.model, "none").module
    return {
        "semanticlens, by activation": lambda: semanticlens(photos, lens, layer),
        "zennit-crp, by activation": lambda: zennit_crp(photos, model, layer, False),
        "zennit-crp, by relevance": lambda: zennit_crp(photos, model, layer, True),
    }


def quietly(work: Callable[[], None]) -> Callable[[], None]:
    """Without their progress bars and warnings."""

    def run() -> None:
        with (
            open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere), contextlib.redirect_stdout(nowhere),
            warnings.catch_warnings(action="ignore"),
        ):  # fmt: skip
            work()

    return run


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="only so many images")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/packages.json"))
    options = parser.parse_args(arguments)
    logging.disable(logging.WARNING)
    listing = list_images(options.images)
    files = listing.files[: options.limit]
    measured = Measured(CASE, "none", listing.root, files, "cpu")
    photos = Photos(listing.root, files, measured.network.model.preprocessing)
    title = f"Packages on {os.cpu_count()} cores"
    heading(title)
    found = []
    for name, way in ways(photos, CASE.layers).items():
        row = Row(f"{CASE.name} ({len(files)} images): everything kept / {name}", *in_turn(quietly(way), measured.ours))
        print(row.line(), flush=True)
        found.append(row)
    write(title, found, options.out)


if __name__ == "__main__":
    main()
