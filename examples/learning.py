"""Is what the figures say about a network true of it? A small CNN, trained here, whose history is known.

``python -m examples.learning cifar10-test.tar FOLDER`` trains on four fifths of the photographs (class folders in a tar
file) and indexes the rest at several steps of training, and then prints:

1. the trend beside the accuracy, and draws it as FOLDER/trend.svg;
2. how well the likeness of two classes ranks the pairs that the network confuses (Spearman);
3. whether a neuron with its weights set to 0 is reported dead, and one that is a copy of another found as its twin;
4. where a class that was withheld from training ranks among the least covered, for each of the classes.
"""

import argparse
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import nn

import indexer
from examples.photographs import ENDINGS, as_input, read_files
from indexer.jobs.build import BuildRequest, build
from indexer.pictures.chart import trend_chart
from indexer.query.index import Index
from indexer.query.learning.answering.confusion import confusion
from indexer.query.learning.classes import coverage, likeness
from indexer.query.learning.neurons import correlated
from indexer.query.learning.trend import SERIES, trend

STEPS = (0, 50, 200, 800, 2500)
WITHHELD_STEPS = 1500
LAYERS = ("5", "8")
_BATCH = 32
_HELD_OUT = 5


def network() -> tuple[nn.Module, dict]:
    """The network as ``module:factory``, without its weights: "5" is its last map, "8" its answers."""
    model = nn.Sequential(
        nn.Conv2d(3, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(48, 96, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(96, 10),
    )  # fmt: skip
    return model, {"resize": (32, 32), "crop": (32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a tar file of class folders")
    parser.add_argument("folder", type=Path, help="where to work; about 1 GB")
    options = parser.parse_args()
    training, shown = unpack(options.photos, options.folder / "photos")
    data = load(training)
    steps = train_and_index(options.folder, data, shown)
    with indexer.open(steps[-1]) as last:
        show_trend(options.folder, steps)
        show_confusions(last)
        show_surgery(options.folder, shown, last)
    show_withheld(options.folder, data, shown)


def unpack(archive: Path, folder: Path) -> tuple[list[Path], Path]:
    """Files to train on, and the folder to index: every fifth file of each class."""
    if not folder.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(folder / "all", filter="data")
    files = sorted(path for path in folder.glob("all/**/*") if path.suffix.lower() in ENDINGS)
    shown = folder / "shown"
    for path in files[::_HELD_OUT]:
        place = shown / path.parent.name / path.name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    return [path for number, path in enumerate(files) if number % _HELD_OUT], shown


def load(files: Sequence[Path]) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Pixels (N, 3, 32, 32) float32 as the network wants them, class codes (N,), and names of the classes."""
    found = read_files(files)
    return as_input(found.pixels), torch.from_numpy(found.codes), found.names


def train(pixels: torch.Tensor, codes: torch.Tensor, steps: Sequence[int], seed: int = 0) -> dict[int, dict]:
    """Train; the weights at each of ``steps``."""
    torch.manual_seed(seed)
    model, _ = network()
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.05)
    states = {}
    for step in range(max(steps) + 1):
        if step in steps:
            states[step] = {name: value.clone() for name, value in model.state_dict().items()}
        chosen = torch.randint(len(pixels), (_BATCH,))
        batch = pixels[chosen]
        batch = batch.flip(3) if step % 2 else batch
        loss = nn.functional.cross_entropy(model(batch), codes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return states


def index(folder: Path, name: str, shown: Path, state: dict) -> Path:
    """Index the photographs by the network with these weights."""
    path, weights = folder / "indexes" / name, folder / f"{name}.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, weights)
    build(path, BuildRequest(shown, "examples.learning:network", str(weights), LAYERS))
    return path


def train_and_index(folder: Path, data: tuple, shown: Path) -> list[Path]:
    pixels, codes, _ = data
    return [index(folder, f"step-{step}", shown, state) for step, state in train(pixels, codes, STEPS).items()]


def show_trend(folder: Path, steps: Sequence[Path]) -> None:
    opened = [indexer.open(path) for path in steps]
    found = trend(opened)
    (folder / "trend.svg").write_text(trend_chart(found))
    print("accuracy    ", "  ".join(f"{value:.3f}" for value in found["accuracy"]))
    for layer in found["layers"]:
        for name in SERIES:
            rank = spearmanr(layer[name], found["accuracy"]).statistic if len(set(layer[name])) > 1 else float("nan")
            values = "  ".join(f"{value:.3f}" for value in layer[name])
            print(f"{layer['layer']:>3} {name:14} {values}   rank correlation with accuracy {rank:.2f}")
    for one in opened:
        one.close()


def show_confusions(last: Index) -> None:
    answers = confusion(last)
    shares: dict[frozenset[str], float] = {}  # of a pair: the mean of both directions, as likeness knows none
    for confused in answers.confused():
        pair = frozenset((confused.class_, confused.answered))
        shares[pair] = shares.get(pair, 0.0) + confused.share / 2
    for layer in LAYERS:
        matrix, names = likeness(last, layer), last.classes
        first, second = np.triu_indices(len(names), 1)
        alike = matrix[first, second]
        confused = [shares.get(frozenset((names[a], names[b])), 0.0) for a, b in zip(first, second, strict=True)]
        rank = spearmanr(alike, confused)
        top = {frozenset((names[first[n]], names[second[n]])) for n in np.argsort(-alike)[:5]}
        both = top & set(sorted(shares, key=shares.get, reverse=True)[:5])
        print(f"{layer}: likeness and confusion of {len(alike)} pairs: Spearman {rank.statistic:.2f} "
              f"(p = {rank.pvalue:.1g}); {len(both)} of the 5 most alike are among the 5 most confused")  # fmt: skip


def show_surgery(folder: Path, shown: Path, last: Index) -> None:
    killed, copied, copy = np.flatnonzero(~last.layer("5").dead)[:3].tolist()
    weights = torch.load(folder / f"{last.name}.pth", weights_only=True)
    for name in ("4.weight", "4.bias"):
        weights[name][killed] = 0
        weights[name][copy] = weights[name][copied]
    with indexer.open(index(folder, "surgery", shown, weights)) as changed:
        state = changed.layer("5").states[killed]
        twin, correlation = correlated(changed, "5", copied, 1).items[0]
        print(f"neuron {killed}, killed, is {state}; it was {last.layer('5').states[killed]}")
        print(f"neuron {copied}, copied to {copy}, goes with {twin} (correlation {correlation:.6f})")


def show_withheld(folder: Path, data: tuple, shown: Path) -> None:
    pixels, codes, names = data
    for name in names:
        kept = codes != names.index(name)
        state = train(pixels[kept], codes[kept], (WITHHELD_STEPS,))[WITHHELD_STEPS]
        with indexer.open(index(folder, f"without-{name}", shown, state)) as without:
            for layer in LAYERS:
                ranking = sorted(coverage(without, layer), key=lambda one: one.order)
                place = [one.class_ for one in ranking].index(name)
                by_any = sorted(ranking, key=lambda one: one.best_auc).index(ranking[place])
                aucs = ", ".join(f"{one.class_} {_auc(one.own_auc)}" for one in ranking[:3])
                print(f"without {name}, layer {layer}: number {place + 1} of the least covered ({aucs}, …); "
                      f"number {by_any + 1} if any neuron counts")  # fmt: skip


def _auc(value: float | None) -> str:
    return "no neuron" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
