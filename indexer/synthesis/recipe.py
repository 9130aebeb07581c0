"""How an image was made: settings, and the text that its file carries."""

import hashlib
import io
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from indexer.defaults import MADE_AIMS, MADE_RATE, MADE_STEPS, MADE_WAYS
from indexer.errors import DamagedFile, InvalidRequest
from indexer.index.configuration import Configuration

VERSIONS: Final = {"optimal": 2, "wanted": 2, "fool": 3, "noise": 2}
"""Of uses, 1 where none is said; counts up when the same recipe makes another image."""
TEXT: Final = "unitscope"
"""The key of the recipe among a PNG's texts."""
MAX_STEPS: Final = 4096
_MOST_BYTES: Final = 1 << 26


@dataclass(frozen=True)
class Settings:
    """How optimal inputs are made.

    Attributes
    ----------
    way : str
        The parametrisation: one of `MADE_WAYS`.
    aim : str
        "mean": the neuron's mean over its map; "centre": its cell in the middle.
    steps : int
    rate : float
        Of Adam.
    seed : int

    Raises
    ------
    InvalidRequest
    """

    way: str = "fourier"
    aim: str = "mean"
    steps: int = MADE_STEPS
    rate: float = MADE_RATE
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", float(self.rate))  # so that the same recipe has the same text
        for name, value, allowed in (("way", self.way, MADE_WAYS), ("aim", self.aim, MADE_AIMS)):
            if value not in allowed:
                raise InvalidRequest(f"{name} must be one of {', '.join(allowed)}, not {value!r}")
        if not 1 <= self.steps <= MAX_STEPS:
            raise InvalidRequest(f"steps must be 1 to {MAX_STEPS}, not {self.steps}")
        if not 0 < self.rate <= 10:
            raise InvalidRequest(f"rate must be above 0 and at most 10, not {self.rate}")
        if not 0 <= self.seed < 2**32:
            raise InvalidRequest(f"seed must be 0 to {2**32 - 1}, not {self.seed}")


def recipe_of(use: str, configuration: Configuration, **parts: Any) -> dict[str, Any]:
    """What decides a made image, as JSON."""
    return {
        "use": use, "version": VERSIONS.get(use, 1), "model": configuration.model,
        "weights": configuration.weights_digest, **parts,
    }  # fmt: skip


def to_png(pixels: np.ndarray, text: dict[str, Any]) -> bytes:
    """An image (h, w, 3) uint8 as a PNG that carries a text, and the digest of its pixels."""
    info, buffer = PngInfo(), io.BytesIO()
    info.add_itxt(TEXT, json.dumps({**text, "pixels": _digest(pixels)}, sort_keys=True))
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def from_png(data: bytes, name: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Pixels and text of such a file.

    Raises
    ------
    DamagedFile
        It is not a PNG of ours, or its pixels are not those that were written.
    """
    if len(data) > _MOST_BYTES:
        raise DamagedFile(name, f"is larger than {_MOST_BYTES} bytes")
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
            pixels = np.asarray(picture.convert("RGB"))
            text = json.loads(picture.text[TEXT])  # type: ignore[attr-defined]
        expected = text.pop("pixels")
    except (
        OSError,
        SyntaxError,
        ValueError,
        KeyError,
        AttributeError,
        TypeError,
        Image.DecompressionBombError,
    ) as error:
        raise DamagedFile(name, "is not an image that was made here") from error
    if expected != _digest(pixels):
        raise DamagedFile(name, "has other pixels than were written")
    return pixels, text


def _digest(pixels: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
