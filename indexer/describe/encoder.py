"""The encoder of images and texts that descriptions need: a small protocol, and one made of ``module:factory``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from PIL import Image

from indexer.errors import InvalidRequest

BATCH = 64
"""How many pictures or texts are encoded at once."""


class Encoder(Protocol):
    """Puts pictures and texts into one space, in which what belongs together points the same way.

    Attributes
    ----------
    name : str
        For people, as "ViT-B-32, laion2b".
    digest : str
        Changes with its weights, so that two descriptions can be told apart.
    """

    name: str
    digest: str

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        """Vectors (n, d) of floats, of n RGB pictures of any size."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) of floats."""


@dataclass(frozen=True)
class Checked:
    """An encoder whose vectors are unit vectors of float32, (n, d), or an error."""

    encoder: Encoder

    def images(self, images: Sequence[Image.Image]) -> np.ndarray:
        return self._units("encode_images", self.encoder.encode_images, images)

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        parts = [texts[first : first + BATCH] for first in range(0, len(texts), BATCH)]
        return np.concatenate([self._units("encode_texts", self.encoder.encode_texts, part) for part in parts])

    def _units(self, function: str, encode: Callable[..., Any], given: Sequence[Any]) -> np.ndarray:
        from indexer.system.user_code import of_user  # with torch

        with of_user(f"{function} of the encoder {self.encoder.name}"):
            vectors = np.asarray(encode(given), np.float32)
        if vectors.ndim != 2 or len(vectors) != len(given):
            raise InvalidRequest(
                f"{function} of the encoder {self.encoder.name} gave an array of shape {vectors.shape} for "
                f"{len(given)} inputs; it must be ({len(given)}, d)"
            )
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        if not np.isfinite(lengths).all() or not lengths.all():
            raise InvalidRequest(
                f"{function} of the encoder {self.encoder.name} gave NaN, infinity or a vector of zeros"
            )
        units: np.ndarray = vectors / lengths
        return units


def load_encoder(name: str, arguments: dict[str, Any] | None = None) -> Encoder:
    """Import and call a factory.

    Parameters
    ----------
    name : str
        ``module:factory``. `indexer.describe.adapters` has some.
    arguments : dict, optional
        Keywords for the factory.

    Raises
    ------
    InvalidRequest
        It cannot be imported or called, or gives something without the functions of an `Encoder`.
    """
    from indexer.network.loading.factories import imported
    from indexer.system.user_code import of_user

    factory = imported(name)
    with of_user(f"the factory {name}"):
        encoder = factory(**(arguments or {}))
    lacking = [part for part in ("name", "digest", "encode_images", "encode_texts") if not hasattr(encoder, part)]
    if lacking:
        raise InvalidRequest(f"what {name} returned is no encoder: it has no {' and no '.join(lacking)}")
    made: Encoder = encoder
    return made
