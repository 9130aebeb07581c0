"""Are names that are proposed for a later checkpoint right? Measured on a small CNN whose neurons are named by AUC.

``python -m benchmarks.names cifar10-test.tar FOLDER`` trains the network of `examples.learning` on four fifths of the
photographs, indexes the others, and names each neuron of an earlier checkpoint after its best class: the one that its
peaks tell from the others with the highest AUC at least. It proposes these names to later checkpoints, and to a network
that was trained from other random weights.

A proposal is right if the name is also the best class of the neuron that gets it. Names and counterparts come from one
half of the photographs, what is right from the other. Chance: the same with counterparts mixed up (mean of 200). Most
that can be: how often a neuron's own best class is the same on both halves. For checkpoints of one training the last
column says how often the counterpart has the neuron's own number.
"""

import argparse
from pathlib import Path

import numpy as np

import indexer
from examples.learning import index, load, train, unpack
from indexer.query.index import Index
from indexer.query.learning.counterparts import counterparts

LAYER = "5"
STEPS = (200, 800, 2500, 6000)
MIXED = 200
LEAST = (-1.0, 0.5, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a tar file of class folders")
    parser.add_argument("folder", type=Path, help="where to work")
    options = parser.parse_args()
    training, shown = unpack(options.photos, options.folder / "photos")
    halves = halved(shown, options.folder)
    pixels, codes, _ = load(training)
    states = {f"step {step}": state for step, state in train(pixels, codes, STEPS).items()}
    states["another start"] = train(pixels, codes, (STEPS[-1],), seed=1)[STEPS[-1]]
    opened = {
        name: [
            indexer.open(index(options.folder, f"{name} {half}", folder, state)) for half, folder in enumerate(halves)
        ]
        for name, state in states.items()
    }
    for earlier, later in (
        ("step 2500", "step 6000"), ("step 800", "step 6000"), ("step 200", "step 6000"),
        ("step 6000", "another start"),
    ):  # fmt: skip
        show(earlier, later, opened[earlier], opened[later])


def halved(shown: Path, folder: Path) -> list[Path]:
    """The photographs in two folders, of all classes alike."""
    halves = [folder / "half 0", folder / "half 1"]
    for number, path in enumerate(sorted(shown.glob("*/*"))):
        place = halves[number % 2] / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    return halves


def show(earlier: str, later: str, before: list[Index], after: list[Index]) -> None:
    names, again, truth = best(before[0]), best(before[1]), best(after[1])
    found = counterparts(after[0], LAYER, before[0])
    holds = (names == again)[names >= 0].mean()
    print(f"\n{earlier} -> {later}: a name is the best class on both halves for {holds:.2f}")
    print("least r | mutual only | proposed | right | chance | own number")
    for least in LEAST:
        for mutual in (False, True):
            asked = np.flatnonzero((found.correlation >= least) & (found.mutual | (not mutual)))
            match = found.match[asked]
            rng = np.random.default_rng(0)
            chance = np.mean([(names[rng.permutation(match)] == truth[asked]).mean() for _ in range(MIXED)])
            right, own = (names[match] == truth[asked]).mean(), (match == asked).mean()
            print(f"{least:7.1f} | {mutual!s:11} | {len(asked):8} | {right:5.2f} | {chance:6.2f} | {own:5.2f}")


def best(index: Index) -> np.ndarray:
    """The best class (C,) of each neuron, as a code."""
    return index.layer(LAYER).selectivity.best


if __name__ == "__main__":
    main()
