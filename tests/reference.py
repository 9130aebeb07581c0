"""Slow, obvious twins of what the index computes: whole arrays from a plain forward pass, then numpy."""

from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision.transforms import functional as F

from indexer.images.geometry import Box


def plain_model(name: str = "squeezenet1_1", seed: int = 0) -> torch.nn.Module:
    """The untouched torchvision model with the random weights of ``--weights none``."""
    torch.manual_seed(seed)
    return torchvision.models.get_model(name, weights=None).eval()


def plain_input(path: Path, resize: int, crop: tuple[int, int]) -> torch.Tensor:
    """torchvision's own preprocessing, step by step: (3, h, w) float32."""
    picture = Image.open(path).convert("RGB")
    picture = F.center_crop(F.resize(picture, [resize]), list(crop))
    return F.normalize(F.to_tensor(picture), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def plain_activations(model: torch.nn.Module, inputs: list[torch.Tensor], layer: str) -> np.ndarray:
    """Outputs (N, C, H, W) float32 of a layer, one image at a time."""
    kept: list[torch.Tensor] = []
    handle = dict(model.named_modules())[layer].register_forward_hook(lambda m, i, o: kept.append(o.detach().clone()))
    with torch.no_grad():
        for tensor in inputs:
            model(tensor[None])
    handle.remove()
    maps = torch.cat(kept)
    return (maps if maps.dim() == 4 else maps[:, :, None, None]).numpy()


def top_one_per_image(maps: np.ndarray, neuron: int, rows: list[int]) -> list[tuple[float, int, int]]:
    """(activation, row, cell) of each image's highest cell, by activation, then row."""
    best = [(float(maps[row, neuron].max()), row, int(maps[row, neuron].argmax())) for row in rows]
    return sorted(best, key=lambda hit: (-hit[0], hit[1]))


def top_all_cells(maps: np.ndarray, neuron: int, rows: list[int]) -> list[tuple[float, int, int]]:
    """(activation, row, cell) of every cell, by activation, then row, then cell."""
    flat = maps[:, neuron].reshape(len(maps), -1)
    cells = [(float(flat[row, cell]), row, cell) for row in rows for cell in range(flat.shape[1])]
    return sorted(cells, key=lambda hit: (-hit[0], hit[1], hit[2]))


def suppress(hits: list[tuple[float, int, int]], boxes: dict[tuple[int, int], Box], iou: float) -> list:
    """Greedy non-maximum suppression within each image."""
    kept: list[tuple[float, int, int]] = []
    for hit in hits:
        box = boxes[hit[1], hit[2]]
        if all(other[1] != hit[1] or box.iou(boxes[other[1], other[2]]) <= iou for other in kept):
            kept.append(hit)
    return kept


def threshold(values: np.ndarray, fraction: float) -> float:
    """The k-th largest of all values, k = fraction of them rounded down, at least the first."""
    ordered = np.sort(values.ravel())[::-1]
    return float(ordered[max(1, int(fraction * len(ordered) + 1e-6)) - 1])


def cosines(maps: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Cosine (N, H * W) of every cell's activation vector with a vector (C,)."""
    vectors = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    lengths = np.sqrt((vectors**2).sum(axis=1))
    dots = np.einsum("ncp,c->np", vectors, vector.astype(np.float64))
    return np.divide(
        dots, lengths * np.linalg.norm(vector.astype(np.float64)), out=np.zeros_like(dots), where=lengths > 0
    )
