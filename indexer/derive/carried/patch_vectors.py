"""The file of an image-text encoder's vectors of a layer's top patches, by which texts find neurons.

::

    images (P,) int64, cells (P,) uint32    which patch: the cell, y * W + x, of which image; in ascending order
    vectors (P, D) float32                  the encoder's vector of each, of length 1
    recipe (3,) int64                       top patches of each neuron, and the images and generation of the index
    name, digest (n,) uint8                 those of the encoder, in UTF-8

Generations that come later list the file too (`indexer.derive.carried`). Which patches are a neuron's is asked of the
generation that is open: it leaves out patches of images that it lacks, and says how many of its own have no vector.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from indexer.derive.carried.files import Sides, read_carried, write_carried
from indexer.errors import DamagedFile
from indexer.index import layout
from indexer.index.configuration import LayerInfo
from indexer.store.storage import Location

KIND: Final = "unitscope patch vectors"
VERSION: Final = 1
LONGEST: Final = 1000
"""Bytes of an encoder's name, or digest."""
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True)
class EncoderName:
    """Which encoder made vectors; only those of one can be compared."""

    name: str
    digest: str


@dataclass(frozen=True)
class PatchVectors:
    """Vectors of patches; see the module's description.

    Attributes
    ----------
    images : ndarray (P,) int64
    cells : ndarray (P,) uint32
    vectors : ndarray (P, D) float32
    encoder : EncoderName
    patches : int
        How many top patches of each neuron were encoded, one of each image.
    made_of : (int, int)
        How many images the index had then, and its generation.
    """

    images: np.ndarray
    cells: np.ndarray
    vectors: np.ndarray
    encoder: EncoderName
    patches: int
    made_of: tuple[int, int]

    def __len__(self) -> int:
        return len(self.images)

    def find(self, images: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Where the vectors of patches are, of any shape; -1 for those that have none."""
        if not len(self):
            return np.full(np.shape(images), -1)
        span = int(max(self.cells.max(), np.max(cells, initial=0))) + 1
        known = self.images * span + self.cells
        wanted = np.asarray(images, np.int64) * span + cells
        places = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
        return np.where(known[places] == wanted, places, -1)

    def of_images(self, ids: np.ndarray) -> "PatchVectors":
        """Those of these images alone."""
        left = np.isin(self.images, ids)
        return replace(self, images=self.images[left], cells=self.cells[left], vectors=self.vectors[left])


def write_patch_vectors(index: Location, layer: str, made: PatchVectors) -> str:
    """Write a layer's file; gives its path relative to the index."""
    arrays: dict[str, np.ndarray] = {
        "images": np.ascontiguousarray(made.images, np.int64),
        "cells": np.ascontiguousarray(made.cells, np.uint32),
        "vectors": np.ascontiguousarray(made.vectors, np.float32),
        "recipe": np.array([made.patches, *made.made_of], np.int64),
        "name": np.frombuffer(made.encoder.name.encode()[:LONGEST], np.uint8),
        "digest": np.frombuffer(made.encoder.digest.encode()[:LONGEST], np.uint8),
    }
    return write_carried(index, layout.PATCH_VECTORS, layer, (KIND, VERSION), arrays)


def read_patch_vectors(index: Location, file: str, layer: LayerInfo) -> PatchVectors:
    """Read the file of a layer.

    Raises
    ------
    DamagedFile
        It is not the file of such a layer.
    """
    wanted: dict[str, tuple[type[np.generic], Sides]] = {
        "images": (np.int64, (None,)),
        "cells": (np.uint32, (None,)),
        "vectors": (np.float32, (None, -1)),
        "recipe": (np.int64, (3,)),
        "name": (np.uint8, (-1,)),
        "digest": (np.uint8, (-1,)),
    }
    arrays = read_carried(index, file, (KIND, VERSION), wanted, "patches")
    images, cells, vectors, recipe = (arrays[name] for name in ("images", "cells", "vectors", "recipe"))
    if not 1 <= recipe[0] <= 1 << 20:
        raise DamagedFile(file, "was made of a number of patches that cannot be")
    if not _in_order(images, cells, layer.cells):
        raise DamagedFile(file, "names cells that its layer does not have, or patches twice")
    lengths = np.linalg.norm(vectors, axis=1)
    if not (np.abs(lengths - 1) < _TOLERANCE).all():
        raise DamagedFile(file, "holds vectors whose length is not 1")
    encoder = EncoderName(*(_text(file, arrays[name]) for name in ("name", "digest")))
    patches, made_of, generation = recipe.tolist()
    return PatchVectors(images, cells, vectors, encoder, patches, (made_of, generation))


def _in_order(images: np.ndarray, cells: np.ndarray, of_layer: int) -> bool:
    if not len(images):
        return True
    if images.min() < 0 or images.max() >= 1 << (62 - of_layer.bit_length()) or cells.max() >= of_layer:
        return False
    steps = np.diff(images)
    return bool(((steps > 0) | ((steps == 0) & (np.diff(cells.astype(np.int64)) > 0))).all())


def _text(file: str, array: np.ndarray) -> str:
    try:
        return bytes(array[:LONGEST]).decode()
    except UnicodeDecodeError as error:
        raise DamagedFile(file, "names its encoder in no text") from error
