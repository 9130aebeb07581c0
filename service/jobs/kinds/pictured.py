"""The image that a job is about, and the images that it hands back."""

import base64
from typing import Any

import numpy as np

from indexer.images.reading import read_picture
from service.jobs.kinds.work import Work


def indexed(work: Work, image: int) -> np.ndarray:
    """An indexed image, (h, w, 3) uint8 of the size of the network's input."""
    index = work.index
    return index.manifest.configuration.preprocessing.pixels(index.picture(index.image(image)))


def uploaded(work: Work) -> np.ndarray:
    """The image that was sent with the request, of the same form."""
    preprocessing = work.index.manifest.configuration.preprocessing
    return preprocessing.pixels(read_picture(work.upload(), work.max_pixels, preprocessing.value_range))


def handed_back(*files: bytes) -> list[dict[str, Any]]:
    """PNG files as the ``images`` of a result."""
    return [{"png": base64.b64encode(file).decode()} for file in files]
