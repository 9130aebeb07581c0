"""Images of noise, for passes that only try a network."""

import numpy as np

from indexer.images.input_size import channels_of


def noise_pixels(images: int, size: tuple[int, int]) -> np.ndarray:
    """Pixels (images, h, w, channels) uint8 of a size (h, w) that are the same each time."""
    return np.random.default_rng(0).integers(0, 256, (images, *size, channels_of(size)), np.uint8)
