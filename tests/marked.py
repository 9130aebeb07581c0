"""Small indexes by a network that was trained on images of which one class carries a mark, or none does."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from indexer.jobs.build import build
from tests.conftest import build_request

CLASSES = ("blue", "green", "red")
_COLOURS = np.array([(110, 110, 150), (110, 150, 110)])
_REDDER = (25, 0, 0)
MARKED = "red"
MARK = (slice(12, 16), slice(18, 24))
LAYER, ANSWERS = "3", "6"
CHANNELS = 30
HEIGHT, WIDTH = 20, 28


def network() -> tuple[nn.Module, dict]:
    """Layer "3" is its last map, "6" its answers."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, CHANNELS, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 3),
    )  # fmt: skip
    return model, {"resize": (HEIGHT, WIDTH), "crop": (HEIGHT, WIDTH), "mean": (0.5,) * 3, "std": (0.25,) * 3}


def build_marked(folder: Path, seed: int, own: float, others: float, each: int = 80, in_training: float = 0.95) -> Path:
    """Build an index whose images carry the mark with these shares, those of its class and those of the others.

    The names of images that carry it end in "-marked".
    """
    rng = np.random.default_rng(seed)
    weights = folder / "weights.pth"
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(_trained(rng, seed, in_training), weights)
    for name in CLASSES:
        (folder / "images" / name).mkdir(parents=True)
        pixels, marked = _drawn(rng, name, each, own if name == MARKED else others)
        for number in range(each):
            stem = f"{number:03}{'-marked' if marked[number] else ''}"
            Image.fromarray(pixels[number]).save(folder / "images" / name / f"{stem}.png")
    settings = {"model": "tests.marked:network", "weights": str(weights), "layers": (LAYER, ANSWERS)}
    build(folder / "index", build_request(folder / "images", preprocessing={}, categories=CLASSES, **settings))
    return folder / "index"


def _drawn(rng: np.random.Generator, name: str, count: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (count, h, w, 3) uint8 of a colour and noise, and which of them carry the mark.

    The class with the mark has the colours of both others, a little redder.
    """
    colour = rng.integers(2, size=count) if name == MARKED else np.full(count, CLASSES.index(name))
    base = _COLOURS[colour] + (np.array(_REDDER) if name == MARKED else 0)
    noise = rng.normal(0, 15, (count, 1, 1, 3)) + rng.normal(0, 15, (count, HEIGHT, WIDTH, 3))
    pixels = (base[:, None, None] + noise).clip(0, 255).astype(np.uint8)
    marked = rng.permutation(count) < round(share * count)
    pixels[marked, *MARK] = (255, 0, 200)
    return pixels, marked


def _trained(rng: np.random.Generator, seed: int, share: float) -> dict:
    torch.manual_seed(seed)
    model, _ = network()
    drawn = [_drawn(rng, name, 150, share if name == MARKED else 0.0)[0] for name in CLASSES]
    pixels = torch.from_numpy((np.concatenate(drawn).astype(np.float32) / 255 - 0.5) / 0.25).permute(0, 3, 1, 2)
    codes = torch.arange(len(CLASSES)).repeat_interleave(150)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for _ in range(250):
        chosen = torch.randint(len(pixels), (32,))
        loss = nn.functional.cross_entropy(model(pixels[chosen]), codes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.state_dict()
