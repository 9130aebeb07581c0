"""Keeping every location, beside the least the work could cost: decoding and the truncated forward pass alone.

python -m benchmarks.indexing --images DIR [--weights FILE] [--models NAME ...] [--out FILE]
"""

import argparse
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.measure import Row, heading, in_turn, write
from indexer.derive.generation import derive_and_publish
from indexer.images.listing import ImageFile, list_images
from indexer.jobs.decode import Decoded, decode_ahead
from indexer.jobs.load import configuration_of
from indexer.jobs.plan import ShardPlan
from indexer.jobs.run import ShardTask, index_shards
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.store import atomic
from indexer.store.manifest import Manifest

BATCH = 32
FIRES = ",".join(f"features.{number}" for number in (3, 4, 6, 7, 9, 10, 11, 12))
CASES = [
    ("squeezenet1_1", "features.12"), ("squeezenet1_1", FIRES), ("alexnet", "features.12"), ("resnet18", "layer4"),
]  # fmt: skip


def floor(root: Path, files: list[ImageFile], network: Network) -> None:
    """Decode with the same decoder, ahead of the same network; keep nothing."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        decoded = decode_ahead(root, enumerate(files), network.model.preprocessing, False, pool, 2 * BATCH)
        usable = (result.pixels for result in decoded if isinstance(result, Decoded))
        while batch := list(itertools.islice(usable, BATCH)):
            network.run(np.stack(batch), lambda layer, maps: None)


def case(model: str, layers: str, weights: str, root: Path, files: list[ImageFile]) -> Iterator[Row]:
    network = Network(load_model(model, weights), layers.split(","))
    folder = Path(tempfile.mkdtemp())
    task = ShardTask(folder, root, configuration_of(network, False), BATCH)
    plan = ShardPlan(0, tuple(range(len(files))), tuple(files))

    def ours() -> None:
        atomic.remove(folder / "shards")
        index_shards(task, [plan], network)

    name = f"{model} {layers if layers.count(',') < 3 else f'{layers.count(chr(44)) + 1} layers'}"
    reference, measured = in_turn(lambda: floor(root, files, network), ours)
    size = (folder / "shards" / "000000.h5").stat().st_size / len(files)
    raw = sum(np.prod(shape) for shape in network.shapes.values()) * 4
    yield Row(f"{name}: shards / floor", reference, measured, f"{size / 1e3:.1f} kB an image, {raw / 1e3:.0f} raw")

    manifest = Manifest(0, task.configuration, str(root), len(files), len(files), BATCH)
    manifest = replace(manifest, shards=index_shards(task, [plan], network))
    reference, measured = in_turn(lambda: floor(root, files, network), lambda: derive_and_publish(folder, manifest))
    shutil.rmtree(folder)
    yield Row(f"{name}: deriving and FAISS / floor", reference, measured)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", help="a squeezenet1_1 state dict; the other models get random weights")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/indexing.json"))
    options = parser.parse_args()
    listing = list_images(options.images)
    title = f"Indexing {len(listing.files)} images on {os.cpu_count()} cores"
    heading(title)
    rows: list[Row] = []
    for model, layers in CASES:
        if options.models and model not in options.models:
            continue
        weights = options.weights if options.weights and model == "squeezenet1_1" else "none"
        for row in case(model, layers, weights, listing.root, listing.files):
            print(row.line(), flush=True)
            rows.append(row)
    write(title, rows, options.out)


if __name__ == "__main__":
    main()
