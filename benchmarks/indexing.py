"""Keeping every location, beside the least the work could cost and beside tools that keep the top ten only.

python -m benchmarks.indexing --images DIR [--weights FILE] [--models NAME ...] [--limit N] [--device cuda] [--out FILE]
"""

import argparse
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.dissection import kept_masks, kept_quantiles, masks_again, top_k_and_sketch
from benchmarks.floor import floor
from benchmarks.measure import Row, heading, in_turn, write
from benchmarks.peers import Run, captum_av, top_k
from indexer.defaults import FLOAT32
from indexer.derive.generation import derive_and_publish
from indexer.errors import InvalidRequest
from indexer.images.listing import ImageFile, list_images
from indexer.index.manifest import Manifest
from indexer.jobs.pipeline.write_shards import ShardTask, index_shards
from indexer.jobs.plan import ShardPlan
from indexer.network.forward import Network
from indexer.network.models import load_model
from indexer.network.restore import configuration_of
from indexer.store import atomic

FIRES = ",".join(f"features.{number}" for number in (3, 4, 6, 7, 9, 10, 11, 12))
# Multiples of 16, for two passes beside each other with batches of 8 end together; and a default shard where that does
# not take too long, so that closing it weighs what it does in an index.
WHOLE, THIRD, SLOW, SLOWEST = 1024, 352, 112, 32


@dataclass(frozen=True)
class Case:
    """A network and layers, so many images, and the ``questions`` to measure."""

    model: str
    layers: str
    images: int = WHOLE
    questions: tuple[str, ...] = ("floor",)
    precision: str = FLOAT32

    @property
    def name(self) -> str:
        layers = self.layers if "," not in self.layers else f"{self.layers.count(',') + 1} layers"
        return f"{self.model} {layers}" + ("" if self.precision == FLOAT32 else f", {self.precision}")


CASES = [
    Case("squeezenet1_1", "features.12", questions=("floor", "derive")),
    Case("squeezenet1_1", "features.12", THIRD, ("captum",)),
    Case("squeezenet1_1", FIRES),
    Case("alexnet", "features.12", questions=("floor", "top ten", "sketch", "quantiles")),
    Case("alexnet", "features.12", THIRD, ("masks", "masks again", "captum")),
    Case("resnet18", "layer4", THIRD),
    Case("resnet18", "layer4", THIRD, precision="float32-folded"),
    Case("resnet18", "layer3", SLOW, ("top ten",)),
    Case("resnet18", "layer3", SLOW, ("top ten",), "float32-folded"),
    Case("vgg16", "features.30", SLOWEST),
    Case("vgg16", "features.23", SLOWEST, ("top ten",)),
    Case("squeezenet1_1", "features.12", THIRD, ("float32",), "bfloat16"),
    Case("alexnet", "features.12", THIRD, ("float32",), "bfloat16"),
    Case("resnet18", "layer3", SLOW, ("float32",), "bfloat16"),
    Case("vgg16", "features.23", SLOWEST, ("float32",), "bfloat16"),
]
PEERS: dict[str, tuple[str, Callable[[Run], Any]]] = {
    "top ten": ("top ten kept, whole network", top_k),
    "sketch": ("top ten and quantiles by a sketch (baukit)", top_k_and_sketch),
    "quantiles": ("top ten and quantiles of all (NetDissect)", kept_quantiles),
    "masks": ("quantiles of all, then masks (NetDissect)", kept_masks),
    "masks again": ("a sketch, then all images again for masks (dissect)", masks_again),
}


class Measured:
    """One case made ready: every question gives one row."""

    def __init__(self, case: Case, weights: str, root: Path, files: list[ImageFile], device: str | None) -> None:
        self.case, self.weights, self.root, self.files = case, weights, root, files
        self.device = torch.device(device) if device else None
        self.network = self._network(case.precision)
        self.folder = Path(tempfile.mkdtemp())
        size = self.network.batch_size
        self.task = ShardTask(self.folder, root, configuration_of(self.network, False), size)
        self.plan = ShardPlan(0, tuple(range(len(files))), tuple(files))

    def _network(self, precision: str) -> Network:
        return Network(load_model(self.case.model, self.weights), self.case.layers.split(","), self.device, precision)

    def _fastest(self) -> Network:
        """Its batch norms folded, if it has any; a bfloat16 network's floor is bfloat16."""
        if self.case.precision != FLOAT32:
            return self.network
        try:
            return self._network("float32-folded")
        except InvalidRequest:
            return self.network

    def ours(self, network: Network | None = None) -> Manifest:
        atomic.remove(self.folder / "shards")
        shards = index_shards(self.task, [self.plan], network or self.network)
        count = len(self.files)
        return replace(Manifest(0, self.task.configuration, str(self.root), count, count, 8), shards=shards)

    def row(self, question: str) -> Row:
        name = f"{self.case.name} ({len(self.files)} images): "
        if question == "float32":
            exact = self._network(FLOAT32)
            return Row(f"{name}everything kept / the same in float32", *in_turn(lambda: self.ours(exact), self.ours))
        if question == "floor":
            fastest = self._fastest()
            taken = in_turn(lambda: floor(self.root, self.files, fastest), self.ours)
            return Row(f"{name}everything kept / floor", *taken, note=self._bytes())
        if question == "derive":
            manifest = self.ours()
            taken = in_turn(
                lambda: floor(self.root, self.files, self.network), lambda: derive_and_publish(self.folder, manifest)
            )
            return Row(f"{name}deriving and FAISS / floor", *taken)
        # A model of its own: contiguous, whole, without hooks of ours.
        model = load_model(self.case.model, self.weights).module.to(self.network.device)
        preprocessing = self.network.model.preprocessing
        run = Run(self.root, self.files, model, self.case.layers, preprocessing, self.network.device)
        if question == "captum":
            sizes: list[int] = []
            taken = in_turn(lambda: sizes.append(captum_av(run)), self.ours)
            note = f"{self._bytes()}, captum's files {sizes[-1] / len(self.files) / 1e3:.0f}"
            return Row(f"{name}everything kept / captum AV", *taken, note=note)
        peer, work = PEERS[question]
        return Row(f"{name}everything kept / {peer}", *in_turn(lambda: work(run), self.ours))

    def _bytes(self) -> str:
        size = (self.folder / "shards" / "000000.h5").stat().st_size / len(self.files)
        raw = sum(np.prod(shape) for shape in self.network.shapes.values()) * 4
        return f"{size / 1e3:.1f} kB an image, raw float32 {raw / 1e3:.0f}"


def rows(case: Case, weights: str, root: Path, files: list[ImageFile], device: str | None) -> Iterator[Row]:
    """The rows of one case, one after the other; files are taken again until there are enough."""
    measured = Measured(case, weights, root, list(itertools.islice(itertools.cycle(files), case.images)), device)
    try:
        for question in case.questions:
            yield measured.row(question)
    finally:
        shutil.rmtree(measured.folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights", help="a squeezenet1_1 state dict; the other models get random weights")
    parser.add_argument("--models", nargs="*", help="only these")
    parser.add_argument("--limit", type=int, help="at most so many images a row")
    parser.add_argument("--device", help="cpu, cuda, …; default: a GPU where there is one")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/indexing.json"))
    options = parser.parse_args(arguments)
    listing = list_images(options.images)
    title = f"Indexing on {os.cpu_count()} cores, {options.device or 'default device'}"
    heading(title)
    found: list[Row] = []
    for case in CASES:
        if options.models and case.model not in options.models:
            continue
        weights = options.weights if options.weights and case.model == "squeezenet1_1" else "none"
        case = replace(case, images=min(case.images, options.limit or case.images))
        for row in rows(case, weights, listing.root, listing.files, options.device):
            print(row.line(), flush=True)
            found.append(row)
    write(title, found, options.out)


if __name__ == "__main__":
    main()
