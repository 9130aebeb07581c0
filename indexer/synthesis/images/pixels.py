"""Between pixels and the colours that a network's images are changed as."""

import numpy as np
import torch


def to_colours(pixels: np.ndarray, device: torch.device | None = None) -> torch.Tensor:
    """An image (h, w, 3) uint8 as (1, 3, h, w) float32, colours from 0 to 1."""
    return torch.from_numpy(pixels.copy()).to(device).permute(2, 0, 1)[None] / 255


def to_pixels(images: torch.Tensor) -> np.ndarray:
    """Images (B, 3, h, w), colours from 0 to 1, as (B, h, w, 3) uint8."""
    shown = (images.detach() * 255).round().clamp(0, 255).to("cpu", torch.uint8)
    pixels: np.ndarray = shown.permute(0, 2, 3, 1).contiguous().numpy()
    return pixels


def peaks_of(maps: torch.Tensor) -> np.ndarray:
    """Peaks (B, C) float32 of maps (B, C, H, W)."""
    peaks: np.ndarray = maps.amax(dim=(2, 3)).to("cpu", torch.float32).numpy()
    return peaks
