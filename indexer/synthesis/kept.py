"""Made images that are kept beside an index, as files of their own that no generation lists.

::

    INDEX/made/LAYER/DIGEST/000412.png    the optimal input of neuron 412

The digest is that of the weights and the preprocessing, so that all generations share an image for as long as these
stay the same. Each file carries its recipe, its figures and the digest of its pixels, and is checked when it is read.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from indexer.errors import DamagedFile
from indexer.index.layout import layer_file
from indexer.query.index import Index
from indexer.store import atomic
from indexer.store.storage import Location, storage_at
from indexer.synthesis.recipe import from_png

MADE: Final = "made"
_MOST_BYTES: Final = 1 << 26


@dataclass(frozen=True)
class Kept:
    """A made image: its file, its pixels (h, w, 3) uint8, and what the file says of it."""

    data: bytes
    pixels: np.ndarray
    about: dict[str, Any]


def kept_optimal(index: Index, layer: str, neuron: int) -> Kept | None:
    """The optimal input of a neuron that lies beside an index; None where there is none.

    Raises
    ------
    NotFound
        There is no such neuron.
    DamagedFile
        The file is not what was written.
    """
    path, name = _path(index, layer, neuron)
    try:
        data = storage_at(path).read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedFile(name, "cannot be read") from error
    pixels, about = from_png(data, name)
    if not {"recipe", "trust", "generation"} <= about.keys():
        raise DamagedFile(name, "lacks its recipe or its figures")
    recipe = about["recipe"]
    mine = {"weights": index.manifest.configuration.weights_digest, "layer": layer, "neuron": neuron}
    if pixels.shape[:2] != index.manifest.configuration.preprocessing.input_size or mine.items() - recipe.items():
        raise DamagedFile(name, "is not of this neuron")
    return Kept(data, pixels, about)


def keep_optimal(index: Index, layer: str, neuron: int, data: bytes) -> None:
    """Keep the file of a neuron's optimal input, in place of one that is there."""
    path, _ = _path(index, layer, neuron)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, data)


def is_kept(index: Index, layer: str, recipe: dict[str, Any]) -> bool:
    """Whether the image of this recipe lies there whole."""
    try:
        found = kept_optimal(index, layer, recipe["neuron"])
    except DamagedFile:
        return False
    return found is not None and found.about.get("recipe") == recipe


def _path(index: Index, layer: str, neuron: int) -> tuple[Location, str]:
    """The file, and what errors call it."""
    index.layer(layer).check_neuron(neuron)
    configuration = index.manifest.configuration
    decides = json.dumps([configuration.weights_digest, configuration.preprocessing.to_json()], sort_keys=True)
    digest = hashlib.sha256(decides.encode()).hexdigest()[:16]
    name = f"{MADE}/{layer_file(layer, '')}/{digest}/{neuron:06d}.png"
    return index.path / name, name
