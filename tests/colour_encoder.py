"""An encoder of images and texts that knows colours: its space is red, green and blue."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

WORDS = {
    "red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1),
    "magenta": (1, 0, 1), "grey": (1, 1, 1),
}  # fmt: skip


class Colours:
    """The mean colour of a picture, without its grey, and that of a word."""

    name, digest = "colours", "0" * 64

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        means = np.array([np.asarray(image, np.float64).mean(axis=(0, 1)) for image in images])
        return means - 0.9 * means.min(axis=1, keepdims=True)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([WORDS[text.split()[-1]] for text in texts], np.float64)


class AnyWord(Colours):
    """Takes a word that it does not know for grey."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([WORDS.get((text.split() or [""])[-1], (1, 1, 1)) for text in texts], np.float64)


class Wrong(Colours):
    """As its ``fault`` says."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        vectors = super().encode_images(images)
        wrong = {
            "nan": vectors * np.nan, "zero": vectors * 0, "flat": vectors.ravel(), "few": vectors[1:],
            "wide": np.concatenate([vectors, vectors], axis=1),
        }  # fmt: skip
        if self.fault == "raises":
            raise KeyError("a fault of theirs")
        return wrong[self.fault]


def no_encoder() -> object:
    return object()


class Other(Colours):
    """The same under another digest."""

    digest = "1" * 64
