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
from indexer.index.configuration import Configuration
from indexer.index.layout import MADE, layer_file
from indexer.query.index import Index
from indexer.store import atomic
from indexer.store.storage import Location, storage_at
from indexer.synthesis.recipe import from_png

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
    index.layer(layer).check_neuron(neuron)
    configuration = index.manifest.configuration
    return read_kept(index.path, folder_of(configuration, layer), configuration, layer, neuron)


def read_kept(root: Location, folder: str, configuration: Configuration, layer: str, neuron: int) -> Kept | None:
    """The same from the folder of the neuron's layer, below the index's own.

    Raises
    ------
    DamagedFile
    """
    name = f"{folder}/{_file(neuron)}"
    try:
        data = storage_at(root / name).read(_MOST_BYTES)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DamagedFile(name, "cannot be read") from error
    pixels, about = from_png(data, name)
    if not {"recipe", "trust", "generation"} <= about.keys():
        raise DamagedFile(name, "lacks its recipe or its figures")
    mine = {"weights": configuration.weights_digest, "layer": layer, "neuron": neuron}
    if pixels.shape[:2] != configuration.preprocessing.input_size or mine.items() - about["recipe"].items():
        raise DamagedFile(name, "is not of this neuron")
    return Kept(data, pixels, about)


def keep_optimal(index: Index, layer: str, neuron: int, data: bytes) -> None:
    """Keep the file of a neuron's optimal input, in place of one that is there."""
    index.layer(layer).check_neuron(neuron)
    path = index.path / folder_of(index.manifest.configuration, layer) / _file(neuron)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(path, data)


def is_kept(index: Index, layer: str, recipe: dict[str, Any]) -> bool:
    """Whether the image of this recipe lies there whole."""
    try:
        found = kept_optimal(index, layer, recipe["neuron"])
    except DamagedFile:
        return False
    return found is not None and found.about.get("recipe") == recipe


def folder_of(configuration: Configuration, layer: str) -> str:
    """The folder of a layer's images, below the index's own."""
    decides = json.dumps([configuration.weights_digest, configuration.preprocessing.to_json()], sort_keys=True)
    return f"{MADE}/{layer_file(layer, '')}/{hashlib.sha256(decides.encode()).hexdigest()[:16]}"


def neuron_of(file: str) -> int | None:
    """The neuron whose image a file's name is for; None for another name."""
    number = file.removesuffix(".png")
    return int(number) if number.isascii() and number.isdigit() and file == _file(int(number)) else None


def _file(neuron: int) -> str:
    return f"{neuron:06d}.png"
