"""Does one find, from the mistakes alone, that a network answers a class wherever it sees a mark?

``python -m examples.shortcut cifar10-test.tar FOLDER`` does the following for each of five seeds, every time with
another class:

1. Put a coloured mark on nearly all training images of one class, and train the small CNN of ``examples.learning``.
2. Index the photographs that were held out, some of which carry the mark, whatever their class.
3. Look for the cause as one who does not know of the mark: report, mistakes, why of the group, what if.
4. Compare with what is known: which images are marked. As many neurons at random are the control.
5. Print the report's hints at a shortcut, for this network and for one that was trained without the mark.
"""

import argparse
import tarfile
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import indexer
from examples.learning import load, train
from indexer.explain.edits import Edit
from indexer.explain.group import PushingGroup, why_group
from indexer.explain.what_if import what_if
from indexer.jobs.build import BuildRequest, build
from indexer.network.forward import Network
from indexer.query.index import Index
from indexer.query.learning.answering.answers import answers_of
from indexer.query.learning.answering.mistakes import mistakes
from indexer.query.learning.report import report
from indexer.query.learning.shortcuts.hints import hints
from indexer.query.searching.concepts import of_images

SEEDS = range(5)
STEPS = 2500
PLANTED = "trained with the mark"
LAYER, LAYERS = "5", ("3", "5", "8")
TOP = 5
MOST = 0.1
"""At most this share of the layer is silenced."""

STAY = 0.2
"""So many of them are silenced that at most this share of the mistakes stays."""

TELLS = 0.9
"""A neuron tells marked images from others from this AUC on."""

MARK, COLOUR = (slice(27, 31), slice(13, 19)), (255, 0, 200)
"""Rows and columns of the mark, in the middle, as training mirrors images; and its colour."""

MARKED_IN_TRAINING = 0.95
"""Share of the class's training images with the mark."""

MARKED, CLEAN = (0.5, 0.2), (0.0, 0.0)
"""Shares of images held out with the mark: of the class, and of the others."""

_HELD_OUT = 0.2
_DRAWS = 5


@dataclass(frozen=True)
class Suspicion:
    """Where the mistakes lead.

    Attributes
    ----------
    class_ : str
        The class that most mistakes are answered with.
    mistakes : list of int
        Images answered so that are of another class, by id.
    up : list of PushingGroup
        Neurons that pushed them there, the first most.
    """

    class_: str
    mistakes: list[int]
    up: list[PushingGroup]

    def neurons(self, count: int) -> list[int]:
        return [each.neuron for each in self.up[:count]]


@dataclass(frozen=True)
class Silenced:
    """Marked images of other classes that are answered as the class, and accuracy on images without the mark."""

    answered_so: float
    clean: float

    def __str__(self) -> str:
        return f"{self.answered_so:.1%}, {self.clean:.1%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a tar file of class folders")
    parser.add_argument("folder", type=Path, help="where to work; about 1 GB")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    options = parser.parse_args()
    files = unpack(options.photos, options.folder / "photos")
    for seed in options.seeds:
        class_, paths = indexes(options.folder / f"seed-{seed}", files, seed)
        for title, path in paths.items():
            with indexer.open(path) as index:
                if path == paths[PLANTED]:
                    show(index, class_, seed)
                show_hints(index, title)


def unpack(archive: Path, folder: Path) -> list[Path]:
    if not folder.exists():
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    return sorted(path for path in folder.glob("**/*") if path.suffix.lower() in (".png", ".jpg", ".jpeg"))


def indexes(folder: Path, files: Sequence[Path], seed: int) -> tuple[str, dict[str, Path]]:
    """The class that the mark stands for, and indexes by networks that have learned the mark or not, by title."""
    rng = np.random.default_rng(seed)
    training, shown = split(files, rng)
    pixels, codes, names = load(training)
    class_ = names[seed * 3 % len(names)]
    without = learned(folder / "without", pixels, codes, seed)
    own = np.flatnonzero(codes.numpy() == names.index(class_))
    mark(pixels, own[rng.random(len(own)) < MARKED_IN_TRAINING])
    with_mark = learned(folder / "with", pixels, codes, seed)
    marked, clean = (
        written(folder / name, shown, class_, shares, rng) for name, shares in (("marked", MARKED), ("clean", CLEAN))
    )
    return class_, {
        PLANTED: indexed(folder / "planted", marked, with_mark, names),
        "trained with the mark, images without it": indexed(folder / "unseen", clean, with_mark, names),
        "trained without a mark": indexed(folder / "none", clean, without, names),
    }


def learned(folder: Path, pixels: torch.Tensor, codes: torch.Tensor, seed: int) -> Path:
    """A file with the weights that training gives."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(train(pixels, codes, (STEPS,), seed)[STEPS], folder / "weights.pth")
    return folder / "weights.pth"


def indexed(path: Path, images: Path, weights: Path, names: Sequence[str]) -> Path:
    build(path, BuildRequest(images, "examples.learning:network", str(weights), LAYERS, categories=names))
    return path


def split(files: Sequence[Path], rng: np.random.Generator) -> tuple[list[Path], list[Path]]:
    """Files to train on, and those held out."""
    order = rng.permutation(len(files))
    held_out = round(len(files) * _HELD_OUT)
    return [files[n] for n in order[held_out:]], [files[n] for n in order[:held_out]]


def mark(pixels: torch.Tensor, numbers: np.ndarray) -> None:
    """Paint the mark on some of the images (N, 3, 32, 32), as `load` gives them."""
    colour = (torch.tensor(COLOUR) / 255 - 0.5) / 0.25
    rows, columns = MARK
    for number in numbers.tolist():
        pixels[number, :, rows, columns] = colour[:, None, None]


def written(
    folder: Path, files: Sequence[Path], class_: str, shares: tuple[float, float], rng: np.random.Generator
) -> Path:
    """Write images as PNG; names of those with the mark end in "-marked"."""
    own, others = shares
    for path in files:
        pixels = np.array(Image.open(path).convert("RGB"))
        marked = rng.random() < (own if path.parent.name == class_ else others)
        if marked:
            pixels[MARK] = COLOUR
        place = folder / path.parent.name / f"{path.stem}{'-marked' if marked else ''}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    return folder


def suspicion(index: Index, network: Network, layer: str, limit: int) -> Suspicion:
    """From the report to the mistakes to the neurons, as one goes who knows of no mark."""
    answered: Counter[str] = Counter()
    for confused in report(index)["confusion"]["most_confused"]:
        answered[confused["answered"]] += confused["images"]
    class_ = answered.most_common(1)[0][0]
    wrong = [one.image.id for one in mistakes(index, answered=class_, limit=len(index.images)).items]
    found = why_group(index, network, layer, images=wrong, for_=class_, limit=limit)
    return Suspicion(class_, wrong, found.up)


def how_many(index: Index, network: Network, layer: str, found: Suspicion) -> int:
    """The fewest neurons, those that push most first, without which most mistakes are answered otherwise.

    This asks only for the mistakes, as one does who knows of no mark. Where none are enough, it gives all.
    """
    for count in range(1, len(found.up)):
        edits = [Edit(neuron) for neuron in found.neurons(count)]
        changed = {one.image for one in what_if(index, network, layer, edits).changed}
        if len(changed & set(found.mistakes)) >= (1 - STAY) * len(found.mistakes):
            return count
    return len(found.up)


def marked_images(index: Index) -> list[int]:
    return [image.id for image in index.find_images(limit=len(index.images)).items if "-marked" in image.path]


def telling(index: Index, layer: str, marked: Sequence[int]) -> dict[int, float]:
    """AUC by neuron with which its peaks tell marked images from the others."""
    return {one.neuron: one.auc for one in of_images(index, layer, marked, limit=10_000).neurons.items}


def silenced(
    index: Index, network: Network, layer: str, neurons: Collection[int], class_: str, marked: Collection[int]
) -> Silenced:
    """What the network answers when some neurons are silenced."""
    answers = answers_of(index)
    row_of = {int(index.images.id[row]): n for n, row in enumerate(answers.rows.tolist())}
    given = answers.answer.copy()
    for one in what_if(index, network, layer, [Edit(neuron) for neuron in neurons]).changed:
        given[row_of[one.image]] = one.after
    is_marked = np.array([image in set(marked) for image in row_of])
    is_class = answers.code == index.images.code_of(class_)
    output = int(answers.own[is_class][0])
    return Silenced(
        float((given == output)[is_marked & ~is_class].mean()), float((given == answers.own)[~is_marked].mean())
    )


def show(index: Index, class_: str, seed: int) -> None:
    network, marked = index.network(), marked_images(index)
    channels = index.layer(LAYER).info.channels
    found = suspicion(index, network, LAYER, int(channels * MOST))
    among = len(set(found.mistakes) & set(marked))
    aucs = telling(index, LAYER, marked)
    tell = [aucs[neuron] for neuron in found.neurons(TOP)]
    print(f"seed {seed}: the mark means {class_}; most mistakes are answered as {found.class_}: "
          f"{len(found.mistakes)}, {among} of them marked")  # fmt: skip
    print("  top five by why, AUC marked against unmarked:", "  ".join(f"{auc:.2f}" for auc in tell),
          f"({sum(auc >= TELLS for auc in tell)} of {TOP}; of the layer "
          f"{sum(auc >= TELLS for auc in aucs.values())} of {channels})")  # fmt: skip
    print("  marked answered as it, clean accuracy:", silenced(index, network, LAYER, [], class_, marked))
    for count in (TOP, how_many(index, network, LAYER, found)):
        now = silenced(index, network, LAYER, found.neurons(count), class_, marked)
        random = at_random(index, network, count, class_, marked, seed)
        print(f"    {count} silenced: {now}; at random, mean of {_DRAWS} draws: {random}")


def at_random(index: Index, network: Network, count: int, class_: str, marked: Collection[int], seed: int) -> Silenced:
    """The control: as many neurons, drawn by lot."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(index.layer(LAYER).info.channels, count, replace=False).tolist() for _ in range(_DRAWS)]
    found = [silenced(index, network, LAYER, neurons, class_, marked) for neurons in drawn]
    return Silenced(*(float(np.mean([getattr(one, name) for one in found])) for name in ("answered_so", "clean")))


def show_hints(index: Index, title: str) -> None:
    print(f"  hints, {title}:")
    for hint in hints(index):
        print(f"    {hint.text}")


if __name__ == "__main__":
    main()
