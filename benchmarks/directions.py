"""What dictionaries of a real layer keep, beside its neurons and beside random directions; and what they cost.

``python -m benchmarks.directions INDEX --layer 10 --components 256 --out FILE.json``

Each dictionary is learned and kept as `dictionary` does it, as a layer of INDEX, which stays there: two seeds are
learned, all images are encoded, and peaks, statistics and vectors derived. The index should have classes. Columns:

- R2, L0 and unused, as `indexer.dictionaries.metrics` has them, on cells of a tenth of the images, from which nothing
  was learned. Neurons give everything back (R2 1). Random directions (unit vectors by lot; an activation is the cell's
  projection, 0 where negative) have no decoder of their own: they get that of least squares, on the cells that the
  dictionaries learn from.
- Stability: the mean cosine of the atoms with those of another seed, in the best pairing.
- Singles out: the share of atoms that tell one class from all others with an AUC of at least 0.9, or 0.8, at the lower
  end of its one-sided 95 % interval, by their peaks on all images (`indexer.derive.selectivity`); and the mean of that
  lower end over all atoms, each for its best class.
- Seconds of learning (both seeds), encoding and deriving; and the most memory of its own that the process had beyond
  what it had before, when its libraries were loaded. Each method has a process to itself.
"""

import argparse
import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

import indexer
from benchmarks.measure import write_records
from benchmarks.stages import Watch
from indexer.defaults import DICTIONARY_METHODS
from indexer.dictionaries.learn import Recipe, learn_dictionary
from indexer.dictionaries.metrics import measured, stability
from indexer.dictionaries.sample import take_sample
from indexer.index.encoded_names import encoded_name
from indexer.jobs.derived.dictionary import add_dictionary
from indexer.jobs.reporter import Reporter
from indexer.network.encoding.encoders import KMeansEncoder, SparseAutoencoder
from indexer.network.encoding.files import Dictionary

RANDOM: Final = "random"
NEURONS: Final = "neurons"
STAGES: Final = ("learning", "encoding", "deriving")
HEAD: Final = (
    "| method | atoms | R2 | L0 | unused | stability | AUC 0.9 | AUC 0.8 | mean AUC | learning (s) | encoding (s) "
    f"| deriving (s) | own memory (MB) |\n|{' --- |' * 13}"
)
CLEARLY, MOSTLY = 0.9, 0.8
"""What the AUC for some class is at least, of an atom that singles it out."""


@dataclass(frozen=True)
class Found:
    """A row of the table; see the module's description. None where there is no such figure."""

    method: str
    components: int
    r2: float
    l0: float
    unused: int
    stability: float | None
    singles_out: float
    singles_out_mostly: float
    best_auc: float
    learning: float | None = None
    encoding: float | None = None
    deriving: float | None = None
    megabytes: float | None = None

    def line(self) -> str:
        """The row in Markdown."""
        stable = "" if self.stability is None else f"{self.stability:.2f}"
        cost = [self.learning, self.encoding, self.deriving, self.megabytes]
        shown = ["" if each is None else f"{each:.0f}" for each in cost]
        cells = [
            self.method, str(self.components), f"{self.r2:.3f}", f"{self.l0:.1f}", str(self.unused), stable,
            f"{self.singles_out:.1%}", f"{self.singles_out_mostly:.1%}", f"{self.best_auc:.3f}", *shown,
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


def random_dictionary(index: Path, layer: str, components: int, cells: int, seed: int = 0) -> Dictionary:
    """Unit vectors by lot, with the decoder of least squares."""
    with indexer.open(index) as opened:
        sample = take_sample(opened, layer, cells, seed)
    size = sample.learned.shape[1]
    drawn = [_units(components, size, seed + number) for number in range(2)]
    codes = np.maximum(sample.learned.astype(np.float64) @ drawn[0].T, 0)
    with_one = np.concatenate([codes, np.ones((len(codes), 1))], axis=1)
    decoder = np.linalg.lstsq(with_one.T @ with_one, with_one.T @ sample.learned.astype(np.float64), rcond=None)[0]
    encoder = SparseAutoencoder(
        torch.from_numpy(drawn[0].T), torch.zeros(components), torch.from_numpy(decoder[:-1]),
        torch.from_numpy(decoder[-1]), centred=False,
    )  # fmt: skip
    stable = stability(*(KMeansEncoder(torch.from_numpy(units)) for units in drawn))  # whose atoms these are
    metrics = measured(encoder, sample.held_out) | {"stability": stable}
    return Dictionary(encoder, {"learned_vectors": len(sample.learned), "metrics": metrics})


def _units(count: int, size: int, seed: int) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, size))
    units: np.ndarray = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return units


def singling_out(index: Path, layer: str) -> tuple[float, float, float]:
    """The shares of a layer's neurons that single out a class, clearly and mostly, and the mean of their best AUC."""
    with indexer.open(index) as opened:
        at_least = opened.layer(layer).selectivity.best_at_least
    return float((at_least >= CLEARLY).mean()), float((at_least >= MOSTLY).mean()), float(at_least.mean())


def of_neurons(index: Path, layer: str, cells: int) -> Found:
    """The neurons themselves, on the same held-out cells."""
    with indexer.open(index) as opened:
        held_out = take_sample(opened, layer, cells, 0).held_out > 0
    unused = int((~held_out.any(axis=0)).sum())
    return Found(
        NEURONS, held_out.shape[1], 1.0, float(held_out.sum(axis=1).mean()), unused, None, *singling_out(index, layer)
    )


def of_method(index: Path, recipe: Recipe) -> Found:
    """A dictionary that is learned, or drawn, and kept as a layer ``LAYER~METHOD``."""
    for module in ("cluster", "decomposition"):  # not while it is watched
        importlib.import_module(f"sklearn.{module}")
    with Watch() as watch:
        watch.stage("learning")
        if recipe.method == RANDOM:
            made = random_dictionary(index, recipe.layer, recipe.components, recipe.cells)
        else:
            with indexer.open(index) as opened:
                made = learn_dictionary(opened, recipe)
        watch.stage("encoding")
        add_dictionary(index, recipe.layer, recipe.method, made, Reporter(stage=lambda text: watch.stage("deriving")))
    metrics, costs = made.recipe["metrics"], watch.costs
    shares = singling_out(index, encoded_name(recipe.layer, recipe.method))
    return Found(
        recipe.method, recipe.components, metrics["r2"], metrics["l0"], metrics["dead"], metrics["stability"], *shares,
        *(costs[stage].seconds for stage in STAGES), max(costs[stage].own for stage in STAGES),
    )  # fmt: skip


def in_its_own_process(index: Path, recipe: Recipe) -> Found:
    """`of_method` in a process that has done nothing else."""
    command = [sys.executable, "-m", "benchmarks.directions", str(index), "--only", json.dumps(asdict(recipe))]
    return Found(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", type=Path)
    parser.add_argument("--layer")
    parser.add_argument("--methods", nargs="+", default=[*DICTIONARY_METHODS, RANDOM])
    parser.add_argument("--components", type=int, default=256, help="(%(default)s)")
    parser.add_argument("--cells", type=int, default=100_000, help="cells that are learned from (%(default)s)")
    parser.add_argument("--steps", type=int, default=2000, help="of the autoencoder (%(default)s)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", type=json.loads, help="one recipe, as JSON; print what was found as JSON")
    options = parser.parse_args(arguments)
    if options.only:
        print(json.dumps(asdict(of_method(options.index, Recipe(**options.only)))))
        return
    print(HEAD, flush=True)
    found = [of_neurons(options.index, options.layer, options.cells)]
    print(found[0].line(), flush=True)
    for method in options.methods:
        recipe = Recipe(options.layer, method, options.components, cells=options.cells, steps=options.steps)
        found.append(in_its_own_process(options.index, recipe))
        print(found[-1].line(), flush=True)
    if options.out:
        write_records(found, options.out)


if __name__ == "__main__":
    main()
