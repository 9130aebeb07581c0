"""Images of noise, for passes that only try a network."""

import numpy as np


def noise_pixels(images: int, size: tuple[int, int]) -> np.ndarray:
    """Pixels (images, h, w, 3) uint8 of a size (h, w) that are the same each time."""
    return np.random.default_rng(0).integers(0, 256, (images, *size, 3), np.uint8)
