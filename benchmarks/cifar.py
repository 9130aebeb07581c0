"""Small networks that are trained here on CIFAR-10, and their indexes: a second kind of network to measure on.

``python -m benchmarks.cifar cifar10-test.tar FOLDER [--seeds 0 1]``

The photographs are those of a tar file of class folders. One in ten of each class is held out: the networks do not see
them, their accuracy is measured on them, and the indexes FOLDER/indexes/seed-N have them. Two seeds give two networks
of one kind that have other weights.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from examples.photographs import Photographs, as_input, read_archive
from indexer.jobs.build import BuildRequest, build

LAYERS = ("2", "6", "10", "13")
"""The last is the outputs; the others end in a ReLU."""
EPOCHS = 12
_BATCH = 64
_RATE = 4e-3
_HELD_OUT = 10
_SHIFT = 2


def network() -> tuple[nn.Module, dict]:
    """The network as ``module:factory``, without its weights."""
    parts: list[nn.Module] = []
    for before, after in ((3, 32), (32, 64), (64, 128)):
        parts += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
    model = nn.Sequential(*parts[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
    return model, {"resize": (32, 32), "crop": (32, 32), "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25)}


def parted(all_of_them: Photographs) -> tuple[Photographs, Photographs]:
    """Those to train on, and those that are held out."""
    rows = np.arange(len(all_of_them.codes))
    out = rows % _HELD_OUT == 0
    return all_of_them.part(rows[~out]), all_of_them.part(rows[out])


def train(shown: Photographs, seed: int, epochs: int = EPOCHS) -> nn.Module:
    """A network in evaluation mode, trained with Adam and a rate that falls to 0 along a cosine."""
    torch.manual_seed(seed)
    model, _ = network()
    pixels, codes = as_input(shown.pixels), torch.from_numpy(shown.codes)
    steps = epochs * (len(codes) // _BATCH)
    optimiser = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(steps, 1))
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(codes)).split(_BATCH)[: len(codes) // _BATCH]:
            loss = functional.cross_entropy(model(_moved(pixels[chosen])), codes[chosen])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module, of: Photographs) -> float:
    """The share answered with their class."""
    answers = torch.cat([model(part).argmax(1) for part in as_input(of.pixels).split(500)])
    return float((answers == torch.from_numpy(of.codes)).float().mean())


def index(folder: Path, seed: int, model: nn.Module, held_out: Photographs) -> Path:
    """The held-out photographs indexed by a network."""
    photos, weights, path = folder / "held-out", folder / f"seed-{seed}.pth", folder / "indexes" / f"seed-{seed}"
    if not photos.exists():
        _write(held_out, photos)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(model.state_dict(), weights)
    build(path, BuildRequest(photos, "benchmarks.cifar:network", str(weights), LAYERS))
    return path


def _write(photographs: Photographs, folder: Path) -> None:
    for number, (pixels, code) in enumerate(zip(photographs.pixels, photographs.codes, strict=True)):
        place = folder / photographs.names[code] / f"{number:04}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)


def _moved(batch: torch.Tensor) -> torch.Tensor:
    """Half of the images mirrored, each batch moved by some pixels."""
    mirrored = torch.where(torch.rand(len(batch), 1, 1, 1) < 0.5, batch.flip(3), batch)
    down, right = torch.randint(2 * _SHIFT + 1, (2,)).tolist()
    padded = functional.pad(mirrored, [_SHIFT] * 4)
    return padded[:, :, down : down + batch.shape[2], right : right + batch.shape[3]]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, help="a tar file of class folders")
    parser.add_argument("folder", type=Path, help="where to work")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="(%(default)s)")
    options = parser.parse_args(arguments)
    shown, held_out = parted(read_archive(options.photos))
    for seed in options.seeds:
        model = train(shown, seed, options.epochs)
        share = accuracy(model, held_out)
        path = index(options.folder, seed, model, held_out)
        print(f"seed {seed}: {share:.1%} of {len(held_out.codes)} held-out photographs, trained on "
              f"{len(shown.codes)} for {options.epochs} epochs; {path}", flush=True)  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
