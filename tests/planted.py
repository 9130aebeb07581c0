"""Images of planted classes, and indexes of them by a network whose neurons are known."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from indexer.index.told_outputs import NOTHING_SAID, Telling
from indexer.jobs.build import build
from tests.conftest import build_request
from tests.own_models import planted

COLOURS = {"blue": (60, 60, 200), "green": (60, 200, 60), "red": (200, 60, 60)}
NUMBER = {"red": "0", "green": "1", "blue": "2"}
LAYERS = ("1", "4")


def write_colours(
    folder: Path, seed: int, classes: dict[str, tuple[str, int]], unlabelled: int = 0, noise: int = 60
) -> Path:
    """Write pictures of a colour and noise; ``classes`` is colour and number of pictures by class."""
    rng = np.random.default_rng(seed)
    wanted = [(name, colour) for name, (colour, count) in classes.items() for _ in range(count)]
    for number, (name, colour) in enumerate([*wanted, *[("", "red")] * unlabelled]):
        pixels = np.array(COLOURS[colour]) + rng.normal(0, noise, 3) + rng.normal(0, 20, (26, 34, 3))
        path = folder / name / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return folder


def numbered(count: int) -> dict[str, tuple[str, int]]:
    """Three classes, called by the number of the output that stands for them."""
    return {number: (colour, count) for colour, number in NUMBER.items()}


def build_planted(
    images: Path, out: Path, changes: dict[int, float] | None = None, telling: Telling = NOTHING_SAID,
    model: str = "planted", layers: tuple[str, ...] = LAYERS,
) -> Path:  # fmt: skip
    """Build an index; ``changes`` are other biases of the neurons of layer "1", as training may change them.

    ``model`` is one of tests/own_models.py with the same weights.
    """
    network, _ = planted()
    with torch.no_grad():
        for neuron, bias in (changes or {}).items():
            network[0].bias[neuron] = bias
    weights = out.parent / f"{out.name}.pth"
    torch.save(network.state_dict(), weights)
    settings = {"model": f"tests.own_models:{model}", "weights": str(weights), "layers": layers, "preprocessing": {}}
    build(out, build_request(images, telling=telling, **settings))
    return out
