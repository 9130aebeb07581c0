"""Are names by machine right? Output neurons have names that are known; here they are looked for among 100 words.

``python -m benchmarks.describing cifar10-test.tar FOLDER`` trains, on four fifths of the photographs,

1. the network of `examples.learning`, three times from other weights, and indexes the other photographs with it;
2. an encoder with two towers, a small CNN for pictures and a vector for each word, so that pictures and their words
   point the same way. Its 100 words: the 10 classes; 30 that say what can be measured on a photograph ("much light",
   "little red", ...); and 60 for drawn patterns of a colour ("red stripes"), which no photograph has.

Then it describes the output layer: how often is the true class the first of the 100 words, or one of the first five?
Beside it stands the same with shuffled words (mean of 200). For the last map, whose neurons have no true names, it says
how often the first word is a class, and how often that is the class that the neuron tells best by AUC.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import nn

import indexer
from examples.learning import index, load, train, unpack
from indexer.describe.describing import Description, describe
from indexer.query.index import Index

STEPS: Final = 2500
SEEDS: Final = (0, 1, 2)
ENCODER_STEPS: Final = 3000
SHUFFLED: Final = 200
MEASURES: Final = (
    "red", "green", "blue", "light", "contrast", "colour", "warmth", "edge", "light above", "light left",
    "light within", "red above", "blue above", "upright line", "level line",
)  # fmt: skip
COLOURS: Final = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1),
    "magenta": (1, 0, 1), "white": (1, 1, 1), "orange": (1, 0.5, 0), "violet": (0.5, 0, 1), "teal": (0, 0.5, 0.5),
}  # fmt: skip
PATTERNS: Final = ("stripes", "bars", "squares", "rings", "dots", "slopes")
DRAWN: Final = [f"{colour} {pattern}" for colour in COLOURS for pattern in PATTERNS]
MEASURED: Final = [f"{much} {what}" for what in MEASURES for much in ("much", "little")]


class TwoTowers(nn.Module):
    """Pictures (n, 3, 32, 32) and words, by number, as vectors (n, 48)."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self.words = list(words)
        self.name, self.digest = "two towers", "trained by benchmarks/describing.py"
        self.pictures = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(24, 48, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(48, 64, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, 48),
        )  # fmt: skip
        self.vectors = nn.Embedding(len(words), 48)
        self.scale, self.bias = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.tensor(-3.0))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """How well each picture goes with each word, (n, words)."""
        cosines = nn.functional.normalize(self.pictures(pixels)) @ nn.functional.normalize(self.vectors.weight).T
        return self.scale.exp() * cosines + self.bias

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        with torch.inference_mode():
            return self.pictures(pixels_of(np.stack([np.asarray(image, np.float32) for image in images]))).numpy()

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        with torch.inference_mode():
            return self.vectors(torch.tensor([self.words.index(text) for text in texts])).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a tar file of class folders")
    parser.add_argument("folder", type=Path, help="where to work")
    options = parser.parse_args()
    training, shown = unpack(options.photos, options.folder / "photos")
    pixels, codes, classes = load(training)
    words = [*classes, *MEASURED, *DRAWN]
    encoder = trained(words, pixels, codes)
    found: list[Description] = []
    for seed in SEEDS:
        state = train(pixels, codes, (STEPS,), seed)[STEPS]
        with indexer.open(index(options.folder, f"described {seed}", shown, state)) as opened:
            found += describe(opened, "8", encoder, words, best=len(words)).items
            show_map(opened, encoder, words, classes)
    show_outputs(found, classes, words)


def trained(words: Sequence[str], pixels: torch.Tensor, codes: torch.Tensor) -> TwoTowers:
    """Half of each batch are photographs with their class and what is measured, half are drawn with their word."""
    torch.manual_seed(7)
    rng = np.random.default_rng(7)
    model = TwoTowers(words)
    measured = measures(pixels * 0.25 + 0.5)
    high, low = np.quantile(measured, 0.8, axis=0), np.quantile(measured, 0.2, axis=0)
    truth = np.zeros((len(pixels), len(words)), np.float32)
    truth[np.arange(len(pixels)), codes.numpy()] = 1
    first = len(words) - len(DRAWN) - len(MEASURED)
    truth[:, first : first + len(MEASURED) : 2] = measured > high
    truth[:, first + 1 : first + len(MEASURED) : 2] = measured < low
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3, weight_decay=0.02)
    for step in range(ENCODER_STEPS):
        chosen = rng.integers(0, len(pixels), 32)
        photos = pixels[chosen].flip(3) if step % 2 else pixels[chosen]
        kinds = rng.integers(0, len(DRAWN), 32)
        drawn = pixels_of(np.stack([draw(DRAWN[kind], rng) for kind in kinds]))
        wanted = np.zeros((64, len(words)), np.float32)
        wanted[:32], wanted[np.arange(32, 64), first + len(MEASURED) + kinds] = truth[chosen], 1
        loss = nn.functional.binary_cross_entropy_with_logits(
            model(torch.cat([photos, drawn])), torch.from_numpy(wanted), reduction="sum"
        )
        optimizer.zero_grad()
        (loss / 64).backward()
        optimizer.step()
    return model.eval()


def measures(pixels: torch.Tensor) -> np.ndarray:
    """What is measured (n, `MEASURES`) on pictures (n, 3, 32, 32) of 0 to 1."""
    red, green, blue = pixels.unbind(1)
    light = pixels.mean(1)
    down, across = light.diff(dim=1).abs().mean((1, 2)), light.diff(dim=2).abs().mean((1, 2))

    def above(plane: torch.Tensor) -> torch.Tensor:
        return plane[:, :16].mean((1, 2)) - plane[:, 16:].mean((1, 2))

    columns = (
        (red - light).mean((1, 2)), (green - light).mean((1, 2)), (blue - light).mean((1, 2)), light.mean((1, 2)),
        light.std((1, 2)), pixels.std(1).mean((1, 2)), (red - blue).mean((1, 2)), down + across, above(light),
        above(light.transpose(1, 2)), light[:, 8:24, 8:24].mean((1, 2)) - light.mean((1, 2)), above(red - light),
        above(blue - light), across - down, down - across,
    )  # fmt: skip
    return torch.stack(columns, 1).numpy()


def draw(word: str, rng: np.random.Generator) -> np.ndarray:
    """A drawn pattern (32, 32, 3) of 0 to 255, with noise."""
    colour, pattern = word.split()
    y, x = np.mgrid[:32, :32] + rng.uniform(0, 8, 2)[:, None, None]
    size = rng.uniform(4, 9)
    wave = {
        "stripes": np.sin(x * 6.3 / size), "bars": np.sin(y * 6.3 / size),
        "squares": np.sin(x * 6.3 / size) * np.sin(y * 6.3 / size) * 3,
        "rings": np.sin(np.hypot(x - 20, y - 20) * 6.3 / size),
        "dots": np.cos(x * 6.3 / size) + np.cos(y * 6.3 / size) - 1, "slopes": np.sin((x + y) * 4.5 / size),
    }[pattern]  # fmt: skip
    there = np.clip(wave * 2 + 0.5, 0, 1)[..., None]
    return np.clip((there * np.array(COLOURS[colour]) + rng.normal(0, 0.08, (32, 32, 3))) * 255, 0, 255)


def pixels_of(pictures: np.ndarray) -> torch.Tensor:
    """Pictures (n, 32, 32, 3) of 0 to 255 as the network wants them."""
    return torch.from_numpy((pictures.astype(np.float32) / 255 - 0.5) / 0.25).permute(0, 3, 1, 2).contiguous()


def show_outputs(found: Sequence[Description], classes: Sequence[str], words: Sequence[str]) -> None:
    ranks = np.array([item.rank for item in found if item.name == classes[item.neuron]])
    chance = np.random.default_rng(0).permuted(np.tile(np.arange(1, len(words) + 1), (SHUFFLED, len(ranks), 1)), axis=2)
    print(f"\n{len(ranks)} output neurons of {len(SEEDS)} networks, {len(words)} words")
    for most in (1, 5):
        share, by_chance = (ranks <= most).mean(), (chance[..., 0] <= most).mean()
        print(f"true name among the first {most}: {share:.2f}; shuffled words: {by_chance:.3f}")
    aucs = [item.auc for item in found if item.rank == 1 and item.auc is not None]
    print(f"held-out AUC of the first names: median {np.median(aucs):.2f}, of {len(aucs)}")


def show_map(opened: Index, encoder: TwoTowers, words: Sequence[str], classes: Sequence[str]) -> None:
    first = [item for item in describe(opened, "5", encoder, words, best=1).items if item.auc is not None]
    best = opened.layer("5").selectivity.best
    named = [item for item in first if item.name in classes]
    same = [item for item in named if item.name == opened.classes[best[item.neuron]]]
    auc = np.median([item.auc for item in first])
    print(
        f"last map: {len(first)} described, {len(named)} by a class, {len(same)} of these by their best class;", end=" "
    )
    print(f"held-out AUC {auc:.2f} in the median")


if __name__ == "__main__":
    main()
